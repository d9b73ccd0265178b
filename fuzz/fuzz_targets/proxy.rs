//! See `targets/proxy.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::proxy::check(data));
