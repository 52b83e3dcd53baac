//! What a process that guards or watches may still do once it has begun.
//!
//! Programs are loaded, links and maps are open, and the metrics' listener is bound by then. What is left
//! is to read and to close, so whoever takes the process over gets little with it: no capability but those
//! that are named here, none to be had again by whatever it executes. Only who can be asked to load other
//! programs keeps what that takes.

use anyhow::{Context as _, Result};
use aya::util::KernelVersion;
use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    },
};

/// What the process goes on to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It holds a guard of its own, by links.
    Guards {
        /// It is to take a filter off that no link holds: before Linux 6.6, which has no tcx.
        filter: bool,
        /// It may be asked to load other programs.
        reloads: bool,
    },
    /// It reads a guard that is attached by others, and looks for its programs anew when they have been
    /// exchanged.
    Watches,
}

impl Role {
    /// The capabilities that it needs for that on a kernel, all the time.
    fn needs(self, kernel: KernelVersion) -> CapabilitySet {
        match self {
            // `BPF_PROG_GET_FD_BY_ID` and `BPF_MAP_GET_FD_BY_ID` ask for no less.
            Self::Watches => CapabilitySet::SYS_ADMIN,
            Self::Guards { filter, .. } => {
                let mut needs = CapabilitySet::empty();
                needs.set(CapabilitySet::NET_ADMIN, filter);
                // Until then not even an open map was read without it where unprivileged BPF is switched
                // off (Linux commit c8644cd0efe7).
                needs.set(CapabilitySet::BPF, kernel < KernelVersion::new(6, 0, 0));
                needs
            }
        }
    }

    /// Those that it takes up for a moment.
    fn keeps(self) -> CapabilitySet {
        match self {
            Self::Guards { reloads: true, .. } => LOADS,
            Self::Guards { reloads: false, .. } | Self::Watches => CapabilitySet::empty(),
        }
    }
}

/// What loading programs takes.
const LOADS: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::PERFMON);

/// Does something with all the capabilities that this thread has kept for it.
pub(crate) fn with_all<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = capabilities(None).context("failed to read the capabilities of this process")?;
    let set = |effective| {
        let sets = CapabilitySets {
            effective,
            ..before
        };
        set_capabilities(None, sets).context("failed to take up the capabilities that were kept")
    };
    set(before.permitted)?;
    let done = act();
    set(before.effective)?;
    done
}

/// Gives up what this thread, which must be the only one, does not need for that.
pub(crate) fn drop_all_but(role: Role) -> Result<()> {
    let kernel = KernelVersion::current().context("failed to find out the kernel's version")?;
    let dropped = confine(role.needs(kernel), role.keeps());
    dropped.context(
        "failed to give up what this process need not be able to do (does a filter of system calls \
         forbid capset or prctl?)",
    )
}

fn confine(needs: CapabilitySet, keeps: CapabilitySet) -> rustix::io::Result<()> {
    set_no_new_privs(true)?;
    clear_ambient_capability_set()?;
    for (_, capability) in CapabilitySet::all().iter_names() {
        match remove_capability_from_bounding_set(capability) {
            // The kernel knows fewer; or this process may not, and then can execute nothing that gains
            // any either.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
    }
    // Not all that is wanted may be there: who has CAP_BPF and the others needs no CAP_SYS_ADMIN.
    let permitted = capabilities(None)?.permitted;
    set_capabilities(
        None,
        CapabilitySets {
            effective: needs & permitted,
            permitted: (needs | keeps) & permitted,
            inheritable: CapabilitySet::empty(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guards_needs_nothing_where_the_kernel_holds_everything_by_links() {
        let new = KernelVersion::new(6, 18, 0);
        let guards = |filter| Role::Guards {
            filter,
            reloads: false,
        };
        assert_eq!(guards(false).needs(new), CapabilitySet::empty());
        assert_eq!(
            guards(true).needs(KernelVersion::new(6, 1, 0)),
            CapabilitySet::NET_ADMIN
        );
        assert_eq!(
            guards(true).needs(KernelVersion::new(5, 18, 0)),
            CapabilitySet::NET_ADMIN | CapabilitySet::BPF
        );
        assert_eq!(Role::Watches.needs(new), CapabilitySet::SYS_ADMIN);
        assert_eq!(guards(true).keeps(), CapabilitySet::empty());
        let reloads = Role::Guards {
            filter: false,
            reloads: true,
        };
        assert_eq!(reloads.needs(new), CapabilitySet::empty());
        assert_eq!(reloads.keeps(), LOADS);
    }
}
