//! Showing what a guard counts, as it counts.
