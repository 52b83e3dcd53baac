//! Programs that the tests and `dist` call. `run` does without.

use anyhow::{Result, bail};

use super::debian;
use crate::process::find_program;

struct Tool {
    program: &'static str,
    /// Its package on Debian and Ubuntu.
    package: &'static str,
    why: &'static str,
}

const TOOLS: [Tool; 19] = [
    Tool {
        program: "ip",
        package: "iproute2",
        why: "network namespaces and veth pairs",
    },
    Tool {
        program: "nmap",
        package: "nmap",
        why: "real scans, which have to be dropped",
    },
    Tool {
        program: "hping3",
        package: "hping3",
        why: "floods of segments that belong to no connection",
    },
    Tool {
        program: "curl",
        package: "curl",
        why: "real connections, which must not suffer",
    },
    Tool {
        program: "ethtool",
        package: "ethtool",
        why: "offloads and queues of the veth pairs",
    },
    Tool {
        program: "nft",
        package: "nftables",
        why: "the kernel's tracker, to compare with",
    },
    Tool {
        program: "iptables",
        package: "iptables",
        why: "another filter, to compare with in a benchmark",
    },
    Tool {
        program: "iperf3",
        package: "iperf3",
        why: "as much as goes over a connection, in a benchmark",
    },
    Tool {
        program: "bpftool",
        package: "bpftool",
        why: "reads our maps with the eyes of libbpf",
    },
    Tool {
        program: "promtool",
        package: "prometheus",
        why: "objects to metrics as Prometheus would",
    },
    Tool {
        program: "prometheus",
        package: "prometheus",
        why: "reads a guard by the dashboard and the alerts",
    },
    Tool {
        program: "sysctl",
        package: "procps",
        why: "forwarding inside the namespaces",
    },
    Tool {
        program: "systemd-analyze",
        package: "systemd",
        why: "judges and runs the units of the package",
    },
    Tool {
        program: "tshark",
        package: "tshark",
        why: "reads captures as Wireshark does",
    },
    Tool {
        program: "tmux",
        package: "tmux",
        why: "is the terminal of the live table",
    },
    Tool {
        program: "python3",
        package: "python3-venv",
        why: "holds the Kubernetes manifests against their schemas",
    },
    Tool {
        program: "cpio",
        package: "cpio",
        why: "packs what runs on older kernels",
    },
    Tool {
        program: "busybox",
        package: "busybox-static",
        why: "is all of their system",
    },
    Tool {
        program: "depmod",
        package: "kmod",
        why: "finds and loads their modules",
    },
];

/// What makes a Debian package; its test makes one.
const PACKERS: [Tool; 3] = [
    Tool {
        program: "dpkg-shlibdeps",
        package: "dpkg-dev",
        why: "tells which libraries a package needs",
    },
    Tool {
        program: "xz",
        package: "xz-utils",
        why: "compresses packages",
    },
    Tool {
        program: "strip",
        package: "binutils",
        why: "takes symbols off the program",
    },
];

/// Installs what is missing; a tool that cannot be had is an error, never a skipped test.
pub(crate) fn ensure() -> Result<()> {
    let why = "installing the programs that the tests call";
    provide(why, &|| all().filter(|tool| is_missing(tool)).collect())
}

/// The same, for what `dist` calls.
pub(crate) fn ensure_packers() -> Result<()> {
    let why = "installing the programs that make a package";
    provide(why, &|| {
        PACKERS.iter().filter(|tool| is_missing(tool)).collect()
    })
}

fn provide(why: &str, missing: &dyn Fn() -> Vec<&'static Tool>) -> Result<()> {
    let packages = packages(missing());
    if packages.is_empty() {
        return Ok(());
    }
    debian::install(&packages, why)?;
    if let Some(tool) = missing().first() {
        bail!(
            "{} is installed, but {} is not on PATH",
            tool.package,
            tool.program
        );
    }
    Ok(())
}

/// One line a tool, then the command for those that are missing, for `setup --check`.
pub(crate) fn lines() -> Vec<String> {
    let line = |Tool { program, why, .. }: &Tool| match find_program(program) {
        Some(path) => format!("found    {program}: {}", path.display()),
        None => format!("missing  {program}: {why}"),
    };
    let mut lines: Vec<_> = all().map(line).collect();
    let packages = packages(all().filter(|tool| is_missing(tool)).collect());
    if !packages.is_empty() {
        lines.push(format!("         {}", debian::install_line(&packages)));
    }
    lines
}

fn packages(tools: Vec<&'static Tool>) -> Vec<&'static str> {
    let mut packages: Vec<_> = tools.into_iter().map(|tool| tool.package).collect();
    // One of them has two tools.
    packages.dedup();
    packages
}

fn all() -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().chain(&PACKERS)
}

fn is_missing(tool: &Tool) -> bool {
    find_program(tool.program).is_none()
}
