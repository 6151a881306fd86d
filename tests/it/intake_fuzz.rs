//! Whatever is sent: an answer, never a panic.

use cutover::intake::Refusal;
use cutover::intake::providers::{claimed, parse, verify};
use cutover_events::workload::Provider;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::intake_support::{SECRET, fixture, generic, headers, secrets, sign};

const EVENTS: [&str; 6] = ["push", "ping", "create", "delete", "release", "x"];

fn read(provider: &Provider, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let claimed = claimed(provider, headers)?;
    verify(&claimed, body, &secrets(&[SECRET]))?;
    let call = parse(provider, &claimed, headers, body)?;
    assert!(!call.items.is_empty());
    Ok(())
}

fn both(event: &str, body: &[u8]) {
    let signature = sign(SECRET, body);
    for form in ["application/json", "application/x-www-form-urlencoded"] {
        let pairs = [
            ("content-type", form),
            ("x-github-event", event),
            ("x-hub-signature-256", &signature),
            ("x-signature", &signature),
        ];
        for provider in [Provider::GitHub, generic()] {
            if let Err(refusal) = read(&provider, &headers(&pairs), body) {
                let text = refusal.to_string();
                assert!(text.chars().count() <= 400 && !text.contains(['\n', '\r']), "{text}");
                assert!(!matches!(refusal, Refusal::Unsigned(_)), "signed: {text}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(event in 0..EVENTS.len(), body in vec(any::<u8>(), 0..600)) {
        both(EVENTS[event], &body);
    }

    #[test]
    fn a_push_with_a_part_overwritten_is_answered(
        event in 0..EVENTS.len(), at in 0_usize..500, patch in vec(any::<u8>(), 0..8), cut in 0_usize..700,
    ) {
        for file in ["github-push.json", "github-create-tag.json", "generic-image.json", "generic-push.json"] {
            let mut body = fixture(file);
            let at = at.min(body.len());
            let end = (at + patch.len()).min(body.len());
            body.splice(at..end, patch.iter().copied());
            both(EVENTS[event], &body);
            body.truncate(cut);
            both(EVENTS[event], &body);
        }
    }

    #[test]
    fn json_of_any_form_is_answered(event in 0..EVENTS.len(), body in json()) {
        both(EVENTS[event], body.to_string().as_bytes());
    }

    #[test]
    fn only_the_true_signature_is_taken(value in vec(any::<u8>(), 0..90)) {
        let body = fixture("github-push.json");
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            let mut headers = headers(&[("x-github-event", "push")]);
            for name in ["x-hub-signature-256", "x-signature"] {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
            for provider in [Provider::GitHub, generic()] {
                prop_assert!(matches!(read(&provider, &headers, &body), Err(Refusal::Unsigned(_))));
            }
        }
    }

    #[test]
    fn one_changed_digit_is_refused(at in 0_usize..64, digit in 0_u32..16) {
        let body = fixture("github-push.json");
        let good = sign(SECRET, &body);
        let mut bad = good.clone().into_bytes();
        bad[7 + at] = char::from_digit(digit, 16).unwrap() as u8;
        let bad = String::from_utf8(bad).unwrap();
        let headers = headers(&[("x-github-event", "push"), ("x-hub-signature-256", &bad)]);
        prop_assert_eq!(read(&Provider::GitHub, &headers, &body).is_ok(), bad == good);
    }
}

/// Values with the keys that are looked for, of any type.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-f0-9]{7,40}".prop_map(Value::from),
        "refs/(heads|tags)/.{0,9}".prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
    ];
    let keys = ["ref", "after", "deleted", "head_commit", "id", "repository", "full_name", "ref_type", "image", "sha"];
    leaf.prop_recursive(4, 64, 10, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((0..keys.len(), inner), 0..8).prop_map(move |pairs| {
                Value::Object(pairs.into_iter().map(|(key, value)| (keys[key].to_owned(), value)).collect())
            }),
        ]
    })
}
