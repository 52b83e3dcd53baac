//! The moment: the kernel's, or that of a replay.

use aya_ebpf::helpers::generated::bpf_jiffies64;
use tcpguard_common::{abi::Transcript, conn::time::Ticks};

use crate::{config, maps::CLOCK};

/// The moment, to a quarter of a second.
#[inline(always)]
pub(crate) fn now() -> Ticks {
    if is_replayed() {
        return CLOCK.get(0).copied().unwrap_or_default();
    }
    kernels()
}

/// The kernel's moment.
#[inline(always)]
pub(crate) fn kernels() -> Ticks {
    #[expect(unsafe_code, reason = "a helper of the kernel")]
    // SAFETY: reads a counter; the verifier makes a single load of it.
    let jiffies = unsafe { bpf_jiffies64() };
    Ticks::from_jiffies(jiffies, config::per_jiffy())
}

/// Whether frames are about another time and, maybe, another host.
#[inline(always)]
pub(crate) fn is_replayed() -> bool {
    config::transcript() == Transcript::Adjudicate as u32
}
