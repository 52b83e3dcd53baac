//! The schemas that the test of the Kubernetes manifests holds them against, in a Python environment of
//! this checkout alone.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{process::step, workspace};

/// Makes the environment, unless it has what the test asks for.
pub(crate) fn ensure() -> Result<()> {
    let wanted = workspace::root().join("tcpguard/tests/kubernetes/requirements.txt");
    let folder = workspace::tools_dir().join("schemas");
    let installed = folder.join("requirements.txt");
    let text = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    if fs::read_to_string(&installed).is_ok_and(|it| it == text) {
        return Ok(());
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    step("making an environment for Kubernetes' schemas", &mut venv)
        .context("Debian has it in the package python3-venv")?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    step(
        "installing Kubernetes' schemas",
        pip.arg("--requirement").arg(&wanted),
    )?;
    // Last, so that what was broken off is begun again.
    fs::write(&installed, text)?;
    Ok(())
}
