//! Captures as other programs write them, and runs of `tcpguard replay` on them.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use pcap_file::{
    DataLink, Endianness,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::EnhancedPacketBlock,
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
        },
    },
};

/// A frame in a capture.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    /// Interface of a pcapng file.
    pub(crate) interface: u32,
    /// Nanoseconds since 1970.
    pub(crate) nanos: u64,
    pub(crate) octets: Vec<u8>,
    pub(crate) wire_len: u32,
}

/// A pcapng file with time stamps in nanoseconds and an interface for each of `links`.
pub(crate) fn pcapng(order: Endianness, links: &[u32], shots: &[Shot]) -> Vec<u8> {
    const NANOSECONDS: u8 = 9;
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), order).expect("memory is writable");
    for link in links {
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::from(*link),
            snaplen: 0,
            options: vec![InterfaceDescriptionOption::IfTsResol(NANOSECONDS)],
        };
        writer
            .write_pcapng_block(interface)
            .expect("memory is writable");
    }
    for shot in shots {
        let packet = EnhancedPacketBlock {
            interface_id: shot.interface,
            timestamp: Duration::from_nanos(shot.nanos),
            original_len: shot.wire_len,
            data: Cow::Borrowed(&shot.octets),
            options: Vec::new(),
        };
        writer
            .write_pcapng_block(packet)
            .expect("memory is writable");
    }
    writer.into_inner()
}

/// A file of this name and content.
pub(crate) fn file(name: &str, octets: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, octets).expect("the folder for tests is writable");
    path
}

/// What a run of the program said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `tcpguard replay FILE` with these arguments.
pub(crate) fn replay(path: &Path, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpguard"));
    run(command.arg("replay").arg(path).args(args))
}

pub(crate) fn run(command: &mut Command) -> Run {
    let output = command.output().expect("the program can be started");
    Run {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("output is UTF-8"),
    }
}
