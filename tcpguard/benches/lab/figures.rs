//! What the benchmarks make of what they have measured, and the machine that it was measured on.

use std::fs;

/// The one in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Of each round, then the median.
pub(crate) fn ratio(values: &[f64], to: &[f64]) -> f64 {
    median(values.iter().zip(to).map(|(own, other)| own / other))
}

/// By how much more, of each round.
pub(crate) fn less(values: &[f64], of_each: &[f64]) -> Vec<f64> {
    values.iter().zip(of_each).map(|(a, b)| a - b).collect()
}

/// With three decimals.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Processor and kernel.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} x {}, Linux {}",
        models.len(),
        models.first().unwrap_or(&"a CPU without a name"),
        kernel.trim()
    )
}
