//! The run as README shows it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
const PICTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/packet_path/connections.svg"
);
const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- /bench -->\n";

/// The file of the picture that it shows.
pub(crate) fn picture() -> PathBuf {
    PICTURE.into()
}

/// Puts a run's tables, and the command that made them, in place of those that are there.
pub(crate) fn replace(tables: &str) -> Result<()> {
    let readme = Path::new(README);
    let text = fs::read_to_string(readme).with_context(|| format!("failed to read {README}"))?;
    let text = between(&text, tables).with_context(|| {
        format!(
            "{README} has no {} with {} behind it",
            BEGIN.trim(),
            END.trim()
        )
    })?;
    fs::write(readme, text).with_context(|| format!("failed to write {README}"))
}

fn between(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let tables: Vec<_> = tables.lines().map(str::trim_end).collect();
    let tables = tables.join("\n");
    // Cargo adds one of its own.
    let args: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args = args.join(" ");
    Some(format!(
        "{before}{BEGIN}```text\n$ cargo xtask bench packet_path {args}\n{tables}\n```\n{END}{after}"
    ))
}
