//! Secrets are compared in a time that tells nothing of them. A clock can't show that without luck; the code can.

use super::sources::{all, code};

#[test]
fn keys_of_the_api_are_compared_in_constant_time() {
    let sources = all(&["src/http/api"]);
    let keys = sources.iter().find(|source| source.file == "src/http/api/keys.rs").expect("the keys");
    let code = code(&keys.text);
    let (_, find) = code.split_once("pub fn find(").expect("where a key is looked for");
    let (find, _) = find.split_once("\n    }\n").expect("its end");
    assert!(find.contains(".ct_eq("), "{}: `find` has to compare by `ConstantTimeEq`", keys.file);
    // What ends early, or looks at a key otherwise, tells how much of it was right.
    for tells in ["==", "!=", ".any(", ".find(", ".contains(", ".position(", "return", "break", "if "] {
        assert!(
            !find.contains(tells),
            "{}: `{tells}` in `find` depends on the key: compare all by `ct_eq`",
            keys.file
        );
    }
}
