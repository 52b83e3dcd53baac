//! What must be true of this machine before a guard can be attached.

use anyhow::{Context as _, Result, bail};
use aya::util::KernelVersion;
use rustix::thread::capabilities;

/// XDP over several buffers, which large frames need (Linux commit f45d5b6ce2e8).
const MINIMUM_KERNEL: (u8, u8) = (5, 18);

/// A capability by its number in `linux/capability.h`, and why it is needed.
const CAPABILITIES: [(u32, &str, &str); 3] = [
    (12, "CAP_NET_ADMIN", "to attach to interfaces"),
    (
        38,
        "CAP_PERFMON",
        "to load programs that reckon with packet pointers",
    ),
    (39, "CAP_BPF", "to load programs and maps"),
];
/// Stands for `CAP_BPF` and `CAP_PERFMON`, which were split off from it.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_NET_ADMIN: u32 = 12;

/// Checks the kernel and this process.
pub(crate) fn check() -> Result<()> {
    check_kernel(KernelVersion::current().context("failed to find out the kernel's version")?)?;
    check_capabilities(effective_capabilities()?)
}

/// Checks that this process may read the maps of another one, which takes more than loading its own:
/// `BPF_PROG_GET_FD_BY_ID` and `BPF_MAP_GET_FD_BY_ID` ask for `CAP_SYS_ADMIN`.
pub(crate) fn check_reader() -> Result<()> {
    check_reader_with(effective_capabilities()?)
}

fn check_reader_with(effective: u64) -> Result<()> {
    if effective >> CAP_SYS_ADMIN & 1 == 0 {
        bail!(
            "missing capability:\n  CAP_SYS_ADMIN to read the tables of a running guard\n\
             run it as root: sudo tcpguard ..."
        );
    }
    Ok(())
}

fn check_kernel(version: KernelVersion) -> Result<()> {
    let (major, minor) = MINIMUM_KERNEL;
    if version < KernelVersion::new(major, minor, 0) {
        bail!(
            "this kernel is {version}, and tcpguard needs {major}.{minor} or newer: it judges \
             frames that lie in several buffers"
        );
    }
    Ok(())
}

/// The set of capabilities in force, one bit each.
fn effective_capabilities() -> Result<u64> {
    let sets = capabilities(None).context("failed to read the capabilities of this process")?;
    Ok(sets.effective.bits())
}

fn check_capabilities(effective: u64) -> Result<()> {
    let has = |number: u32| effective >> number & 1 != 0;
    let missing: Vec<_> = CAPABILITIES
        .into_iter()
        .filter(|(number, ..)| !has(*number))
        .filter(|(number, ..)| *number == CAP_NET_ADMIN || !has(CAP_SYS_ADMIN))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why: Vec<String> = missing
        .iter()
        .map(|(_, name, why)| format!("  {name} {why}"))
        .collect();
    bail!(
        "missing capabilities:\n{}\nrun it as root: sudo tcpguard ...",
        why.join("\n"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_told_the_minimum() {
        let error = check_kernel(KernelVersion::new(5, 10, 230))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("5.10.230") && error.contains("5.18"),
            "{error}"
        );
        assert!(check_kernel(KernelVersion::new(5, 18, 0)).is_ok());
        assert!(check_kernel(KernelVersion::new(6, 1, 0)).is_ok());
    }

    #[test]
    fn each_missing_capability_is_named() {
        let error = check_capabilities(1 << 12 | 1 << 39)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("CAP_PERFMON") && !error.contains("CAP_BPF"),
            "{error}"
        );
        let error = check_capabilities(0).unwrap_err().to_string();
        assert!(
            CAPABILITIES.iter().all(|(_, name, _)| error.contains(name)),
            "{error}"
        );
    }

    #[test]
    fn reading_another_process_needs_admin() {
        let error = check_reader_with(1 << 12 | 1 << 38 | 1 << 39).unwrap_err();
        assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
        assert!(check_reader_with(1 << 21).is_ok());
    }

    #[test]
    fn admin_stands_for_what_was_split_off_from_it() {
        assert!(check_capabilities(1 << 12 | 1 << 21).is_ok());
        assert!(check_capabilities(1 << 21).is_err());
        assert!(check_capabilities(1 << 12 | 1 << 38 | 1 << 39).is_ok());
    }
}
