//! Floods: frames from everywhere, as fast as one CPU makes them.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader, TestRunAttrs, TestRunOptions,
    programs::{TestRun as _, Xdp},
};
use tcpguard_common::{craft::TcpFrame, flags::TcpFlags};

use crate::place::Place;

/// What a frame is a flood of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flood {
    /// No flag at all.
    Null,
    /// Segments in the middle of connections that are not there.
    Ack,
}

impl Flood {
    pub(crate) const ALL: [Self; 2] = [Self::Null, Self::Ack];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Null => "illegal flags (NULL)",
            Self::Ack => "ACK of no connection",
        }
    }

    /// What its frames are made of.
    pub(crate) fn frame(self) -> TcpFrame {
        let frame = TcpFrame::between([10, 9, 7, 7].into(), [10, 9, 0, 2].into());
        TcpFrame {
            ports: (40_000, 80),
            ..frame.with_flags(self.flags())
        }
    }

    const fn flags(self) -> TcpFlags {
        match self {
            Self::Null => TcpFlags::NULL,
            Self::Ack => TcpFlags::ACK,
        }
    }
}

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
    pub(crate) fn new(place: &Place, program: &'static str) -> Result<Self> {
        Ok(Self {
            object: load(program, 1)?,
            program,
            interface: place.sending()?,
            macs: place.macs()?,
        })
    }

    /// Sends so many frames, made of this one, without a pause. What the receiver is too slow for is lost on
    /// the way.
    pub(crate) fn send(&self, place: &Place, frame: &TcpFrame, frames: u32) -> Result<()> {
        let macs = self.macs;
        let frame = TcpFrame {
            macs,
            ..frame.clone()
        }
        .build();
        place.sender.within(|| self.run(&frame, frames))?
    }

    fn run(&self, frame: &[u8], frames: u32) -> Result<()> {
        let program = self.object.program(self.program);
        let program: &Xdp = program
            .with_context(|| format!("no program {}", self.program))?
            .try_into()?;
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

static BASELINE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline.bpf.o"));

/// The object with one of its programs loaded, and with room for so many connections in its hash map.
pub(crate) fn load(name: &str, connections: u32) -> Result<Ebpf> {
    let mut object = EbpfLoader::new()
        .btf(None)
        .map_max_entries("HASH4", connections)
        .load(BASELINE)
        .context("failed to open the baseline")?;
    let program = object.program_mut(name);
    let program: &mut Xdp = program
        .with_context(|| format!("no program {name}"))?
        .try_into()?;
    program
        .load()
        .with_context(|| format!("failed to load {name}"))?;
    Ok(object)
}
