//! Vectors that the providers' own libraries signed, and those that providers print: judged as the libraries judge them.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookgate::model::Timestamp;
use serde::Deserialize;

use super::{delivery, verifier};

#[derive(Deserialize)]
struct Vector {
    name: String,
    library: String,
    provider: String,
    secret: String,
    now: i64,
    headers: Vec<(String, String)>,
    body_base64: String,
    event_id: Option<String>,
    event_type: Option<String>,
    #[serde(default)]
    refused: bool,
}

fn vectors(file: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| format!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// What differs from the library, if anything does.
fn difference(vector: &Vector) -> Option<String> {
    let body = STANDARD.decode(&vector.body_base64).expect("base64");
    let result = verifier(&vector.provider, &[&vector.secret])
        .verify(&delivery(&vector.headers, body), Timestamp::from_unix_s(vector.now))
        .map(|passed| passed.event().expect("an event"));
    let told = match (&result, vector.refused) {
        (Err(refusal), true) if !refusal.is_authentic() => return None,
        (Err(refusal), false) if refusal.is_authentic() && vector.event_id.is_none() => return None,
        (Err(refusal), _) => refusal.code().to_owned(),
        (Ok(admitted), false) => {
            let id = admitted.event_id_received().unwrap_or(admitted.event_id().as_str());
            let right_id = vector.event_id.as_deref().is_none_or(|expected| expected == id);
            let kind = vector.event_type.as_deref().map(|kind| if is_printable(kind) { kind } else { "unknown" });
            if right_id && kind.is_none_or(|kind| kind == &**admitted.event_type()) {
                return None;
            }
            format!("{} {}", admitted.event_id(), admitted.event_type())
        }
        (Ok(_), true) => "accepted".to_owned(),
    };
    Some(format!("{} ({}): {told}", vector.name, vector.library))
}

/// A type is printable ASCII, or it is not read.
fn is_printable(kind: &str) -> bool {
    kind.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

#[test]
fn what_official_libraries_sign_and_refuse_is_judged_alike() {
    let vectors = vectors("vectors.json");
    let differences: Vec<String> = vectors.iter().filter_map(difference).collect();
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), vectors.len(), differences.join("\n"));
    assert!(vectors.iter().filter(|vector| vector.refused).count() > 9);
}

#[test]
fn what_providers_print_verifies() {
    // Asymmetric signatures are not supported yet; their vector waits.
    let waiting = |vector: &Vector| vector.secret.starts_with("whpk_");
    let vectors = vectors("documented.json");
    let differences: Vec<String> = vectors.iter().filter(|vector| !waiting(vector)).filter_map(difference).collect();
    assert!(differences.is_empty(), "{differences:?}");
    assert!(vectors.iter().filter(|vector| !waiting(vector)).count() > 1);
}
