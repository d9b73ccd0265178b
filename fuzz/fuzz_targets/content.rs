//! See `targets/content.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::content::check(data));
