//! Why a guard cannot be attached, each with the way out.

use aya::{EbpfError, programs::ProgramError};
use tcpguard_common::abi::MAX_INTERFACES;

/// Why a guard cannot be attached. Nothing is attached then.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No interface of that name in this network namespace.
    #[error("no interface {name}; there are: {}", known.join(", "))]
    UnknownInterface {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// More interfaces than the programs have slots for.
    #[error(
        "{given} interfaces are more than one guard holds ({MAX_INTERFACES}): run a second one"
    )]
    TooManyInterfaces {
        /// How many were asked for.
        given: usize,
    },
    /// Frames that begin with neither Ethernet nor IP.
    #[error("{interface} has link type {layer}, and tcpguard reads Ethernet and plain IP only")]
    UnknownLayer {
        /// The interface.
        interface: String,
        /// The kernel's name of its link type.
        layer: String,
    },
    /// What the tracker needs to know of this machine cannot be found out.
    #[error("failed to set up connection tracking: {0:#}")]
    Tracking(anyhow::Error),
    /// What is said of sources, ports or cookies cannot be had here.
    #[error("{0:#}")]
    Admission(anyhow::Error),
    /// Another XDP program is there; it is never replaced.
    #[error(
        "{interface} already has the XDP program {program} (id {id}): tcpguard replaces nothing; \
         take that one off first by its own tool or by `tcpguard detach --foreign --iface {interface}`, \
         or guard another interface (bpftool net show dev {interface} tells more)"
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// Name of the program there.
        program: String,
        /// The kernel's number of the program there.
        id: u32,
    },
    /// Another guard is there.
    #[error(
        "{interface} is guarded already, by the program {program} (id {id}): \
         `tcpguard detach --iface {interface}` takes a guard of `tcpguard attach` off, one of \
         `tcpguard run` ends with its process"
    )]
    Guarded {
        /// The interface.
        interface: String,
        /// Name of the program there.
        program: String,
        /// The kernel's number of the program there.
        id: u32,
    },
    /// The driver does not take the program, and nothing else was allowed.
    #[error("the driver of {interface} refuses native XDP: {why} ({hint}; or use --mode generic)")]
    NativeRefused {
        /// The interface.
        interface: String,
        /// What the driver says.
        why: String,
        /// What helps against it.
        hint: &'static str,
    },
    /// The kernel does not take the program in the network stack.
    #[error("failed to attach to {interface} in generic mode: {why}")]
    GenericRefused {
        /// The interface.
        interface: String,
        /// What the kernel says.
        why: String,
    },
    /// The egress hook cannot be had.
    #[error("failed to attach to the egress of {interface}: {why}")]
    EgressRefused {
        /// The interface.
        interface: String,
        /// What the kernel says.
        why: String,
    },
    /// The kernel cannot be asked about its interfaces.
    #[error("{0:#}")]
    Netlink(anyhow::Error),
    /// The object or its maps.
    #[error("failed to set up the kernel programs: {0}")]
    Object(#[from] EbpfError),
    /// The maps are not what this loader expects.
    #[error("failed to set up the maps of the kernel programs: {0:#}")]
    Maps(anyhow::Error),
    /// A program did not get through the verifier, or may not be loaded.
    #[error("failed to load {program} into the kernel: {}", chain(source))]
    Load {
        /// Name of the program.
        program: &'static str,
        /// What the kernel says.
        source: ProgramError,
    },
}

/// An error with all its causes, as the kernel's own word is often the last.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
