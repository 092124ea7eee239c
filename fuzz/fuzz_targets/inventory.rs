#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| theseus_fuzz::inventory(input));
