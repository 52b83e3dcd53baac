//! What sends floods: as many frames as one CPU makes, or at a rate.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, TestRunAttrs, TestRunOptions,
    programs::{TestRun as _, Xdp, XdpMode},
};
use tcpguard_common::craft::TcpFrame;

use super::{baseline, place::Place};

/// As many as NAPI takes in a turn.
const BATCH: u32 = 64;

/// Sends frames: the kernel runs a program that makes a frame of the last one, and puts it on the wire
/// (`BPF_F_TEST_XDP_LIVE_FRAMES`).
pub(crate) struct Generator {
    pub(crate) object: Ebpf,
    program: &'static str,
    /// `struct xdp_md`: by which interface the frames go.
    interface: u32,
    macs: ([u8; 6], [u8; 6]),
}

impl Generator {
    /// One whose frames are made by a program of the baseline.
    pub(crate) fn new(place: &Place, name: &'static str) -> Result<Self> {
        let mut object = baseline::open()?;
        let program: &mut Xdp = baseline::program(&mut object, name)?.try_into()?;
        program
            .load()
            .with_context(|| format!("failed to load {name}"))?;
        // Where nothing passes. Were it attached nowhere, the kernel would rewrite its dispatcher of XDP
        // programs at the beginning and at the end of each run, and wait for all CPUs.
        let attached = place.sender.within(|| program.attach("lo", XdpMode::Skb))?;
        attached.with_context(|| format!("failed to attach {name}"))?;
        Ok(Self {
            object,
            program: name,
            interface: place.sending()?,
            macs: place.macs()?,
        })
    }

    /// Sends so many frames, made of this one, without a pause. What the receiver is too slow for is lost on
    /// the way.
    pub(crate) fn send(&self, place: &Place, frame: &TcpFrame, frames: u32) -> Result<()> {
        let frame = self.octets(frame);
        place.sender.within(|| self.run(&frame, frames))?
    }

    /// Sends so many frames a second until it is told to stop, and returns how many they have been.
    pub(crate) fn send_until(
        &self,
        stop: &AtomicBool,
        place: &Place,
        frame: &TcpFrame,
        rate: u32,
    ) -> Result<f64> {
        /// Of one run more would not fit into the cable beside what is taken off meanwhile, and of more runs a
        /// second the kernel has much to clean up.
        const MOST: u32 = 512;
        const RUNS: u32 = 2000;
        let frame = self.octets(frame);
        let batch = (rate / RUNS).clamp(BATCH, MOST);
        let pause = Duration::from_secs(1) * batch / rate;
        place.sender.within(|| {
            let start = Instant::now();
            let mut batches = 0;
            while !stop.load(Ordering::Relaxed) {
                self.run(&frame, batch)?;
                batches += 1;
                thread::sleep((pause * batches).saturating_sub(start.elapsed()));
            }
            Ok(f64::from(batches) * f64::from(batch) / start.elapsed().as_secs_f64())
        })?
    }

    fn octets(&self, frame: &TcpFrame) -> Vec<u8> {
        let macs = self.macs;
        TcpFrame {
            macs,
            ..frame.clone()
        }
        .build()
    }

    fn run(&self, frame: &[u8], frames: u32) -> Result<()> {
        let program = self.object.program(self.program);
        let program: &Xdp = program.context("the generator is gone")?.try_into()?;
        let octets = u32::try_from(frame.len())?;
        let context = [0, octets, 0, self.interface, 0, 0].map(u32::to_ne_bytes);
        program.test_run(TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(context.as_flattened()),
            repeat: frames,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::default()
        })?;
        Ok(())
    }
}
