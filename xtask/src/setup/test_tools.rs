//! Programs that the tests call. Only `cargo xtask test` wants them; `run` does without.

use anyhow::{Result, bail};

use super::debian;
use crate::process::find_program;

struct Tool {
    program: &'static str,
    /// Its package on Debian and Ubuntu.
    package: &'static str,
    why: &'static str,
}

const TOOLS: [Tool; 10] = [
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
];

/// Installs what is missing; a tool that cannot be had is an error, never a skipped test.
pub(crate) fn ensure() -> Result<()> {
    let packages = missing_packages();
    if packages.is_empty() {
        return Ok(());
    }
    debian::install(&packages, "installing the programs that the tests call")?;
    if let Some(tool) = missing().next() {
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
    let mut lines: Vec<_> = TOOLS.iter().map(line).collect();
    let packages = missing_packages();
    if !packages.is_empty() {
        lines.push(format!("         {}", debian::install_line(&packages)));
    }
    lines
}

fn missing_packages() -> Vec<&'static str> {
    let mut packages: Vec<_> = missing().map(|tool| tool.package).collect();
    // One of them has two tools.
    packages.dedup();
    packages
}

fn missing() -> impl Iterator<Item = &'static Tool> {
    TOOLS
        .iter()
        .filter(|tool| find_program(tool.program).is_none())
}
