#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tcpguard_fuzz::config::check(octets));
