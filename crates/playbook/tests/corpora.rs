//! What fuzzing kept, read once more: every input that was worth remembering, by the function that it is for.

#[expect(unreachable_pub, reason = "the fuzzers use it as a crate")]
#[path = "../../../fuzz/src/lib.rs"]
mod readers;

use std::path::Path;

type Reader = fn(&[u8]);

#[test]
fn every_kept_input_ends_without_a_panic() {
    let targets: [(&str, Reader); 6] = [
        ("yaml", readers::yaml),
        ("template", readers::template),
        ("expression", readers::expression),
        ("inventory", readers::inventory),
        ("vault", readers::vault),
        ("keyvalue", readers::keyvalue),
    ];
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, read) in targets {
        let inputs: Vec<_> = std::fs::read_dir(corpora.join(name)).expect(name).flatten().collect();
        assert!(!inputs.is_empty(), "the corpus of {name} is empty");
        for input in inputs {
            eprintln!("{name} {}", input.path().display());
            read(&std::fs::read(input.path()).expect(name));
        }
    }
}
