//! See `targets/tls.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::tls::check(data));
