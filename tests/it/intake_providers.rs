//! What senders say, read from the project's own payloads and from collected real ones.

use cutover::intake::Refusal;
use cutover::intake::hooks::Hook;
use cutover::intake::providers::{Call, claimed, parse, verify};
use cutover_events::delivery::{Change, ChangeKind, PathList};
use cutover_events::workload::Provider;

use crate::intake_support::{GITHUB, OLD_SECRET, SECRET, collected, fixture, generic, headers, secrets, sign};

const SHA: &str = "2222222222222222222222222222222222222222";

/// The whole way of one call.
fn call(provider: &Provider, pairs: &[(&str, &str)], body: &[u8]) -> Result<Call, Refusal> {
    let headers = headers(pairs);
    let claimed = claimed(provider, &headers)?;
    verify(&claimed, body, &secrets(&[SECRET]))?;
    parse(provider, &claimed, &headers, body)
}

fn github(event: &str, body: &[u8]) -> Result<Call, Refusal> {
    call(&Provider::GitHub, &[("x-github-event", event), ("x-hub-signature-256", &sign(SECRET, body))], body)
}

fn generic_call(body: &[u8]) -> Result<Call, Refusal> {
    call(&generic(), &[("x-signature", &sign(SECRET, body))], body)
}

fn shop(kind: ChangeKind, reference: &str, sha: &str) -> Change {
    Change { kind, repo: "acme/shop".into(), reference: reference.into(), sha: sha.into(), ..Change::default() }
}

#[test]
fn github_events_say_what_has_changed() {
    let deleted = Change { deleted: true, ..shop(ChangeKind::Branch, "refs/heads/main", "") };
    for (file, event, expected) in [
        ("github-push.json", "push", shop(ChangeKind::Branch, "refs/heads/main", SHA)),
        ("github-tag-annotated.json", "push", shop(ChangeKind::Tag, "refs/tags/v1.2.0", SHA)),
        ("github-branch-deleted.json", "push", deleted),
        ("github-ping.json", "ping", shop(ChangeKind::Ping, "", "")),
        ("github-release.json", "release", shop(ChangeKind::Other, "", "")),
        ("github-create-tag.json", "create", shop(ChangeKind::Tag, "refs/tags/v1.2.0", "")),
    ] {
        let read = github(event, &fixture(file)).unwrap();
        assert_eq!((read.event.as_str(), read.items), (event, vec![expected]), "{file}");
    }
}

#[test]
fn the_paths_of_a_push_are_told_where_all_of_them_are_listed() {
    let text = String::from_utf8(fixture("github-push.json")).unwrap();
    let lists = |text: &str| github("push", text.as_bytes()).unwrap().lists;
    let listed = PathList { item: 0, before: "1".repeat(40), paths: vec!["tea.txt".into()] };
    assert_eq!(lists(&text), [listed]);
    for (from, to) in [
        ("\"forced\": false", "\"forced\": true".to_owned()),
        (&"1".repeat(40), "0".repeat(40)),
        ("[\"tea.txt\"]", "[]".to_owned()),
        ("[\"tea.txt\"]", format!("[\"{}\"]", "x".repeat(20_000))),
        ("[\"tea.txt\"]", serde_json::to_string(&(0..301).map(|n| n.to_string()).collect::<Vec<_>>()).unwrap()),
    ] {
        assert!(text.contains(from));
        assert_eq!(lists(&text.replace(from, &to)), [], "{from}");
    }
    let commit = "{ \"id\": \"2\", \"added\": [\"a\"] }";
    let (begin, end) = (text.find("\"commits\"").unwrap(), text.find("\"head_commit\"").unwrap());
    let with = |count| {
        let commits = vec![commit; count].join(",");
        format!("{}\"commits\": [{commits}],{}", &text[..begin], &text[end..])
    };
    assert_eq!((lists(&with(2047)).len(), lists(&with(2048)).len(), lists(&with(0)).len()), (1, 0, 0));
}

#[test]
fn generic_bodies_say_an_image_or_a_push() {
    let image =
        Change { kind: ChangeKind::Image, image: "registry.example.com/acme/shop:v7".into(), ..Change::default() };
    assert_eq!(generic_call(&fixture("generic-image.json")).unwrap().items, [image]);
    let push = shop(ChangeKind::Branch, "refs/heads/main", SHA);
    assert_eq!(generic_call(&fixture("generic-push.json")).unwrap().items, std::slice::from_ref(&push));
    let short = format!(r#"{{"ref":"main","sha":"{SHA}","repository":"acme/shop"}}"#);
    assert_eq!(generic_call(short.as_bytes()).unwrap().items, [push]);
    let zeros = format!(r#"{{"ref":"refs/tags/v1","sha":"{}","repository":"acme/shop"}}"#, "0".repeat(40));
    let gone = generic_call(zeros.as_bytes()).unwrap().items;
    assert_eq!(gone, [Change { deleted: true, ..shop(ChangeKind::Tag, "refs/tags/v1", "") }]);
}

#[test]
fn the_first_id_header_that_is_there_counts() {
    let body = fixture("generic-image.json");
    let signature = sign(SECRET, &body);
    let with = |pairs: &[(&str, &str)]| {
        let mut all = vec![("x-signature", signature.as_str())];
        all.extend_from_slice(pairs);
        call(&generic(), &all, &body).unwrap().sender_id
    };
    assert_eq!(with(&[]), None);
    assert_eq!(with(&[("webhook-id", "c")]).as_deref(), Some("c"));
    assert_eq!(with(&[("webhook-id", "c"), ("idempotency-key", "b")]).as_deref(), Some("b"));
    assert_eq!(with(&[("webhook-id", "c"), ("x-delivery-id", "a"), ("idempotency-key", "b")]).as_deref(), Some("a"));
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    let long = "x".repeat(300);
    for (body, why) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        (r#"{"imag":"a/b"}"#, "the key \"ref\" is missing; expected {\"image\""),
        (r#"{"image":7}"#, "line 1 column 10"),
        (r#"{"image":""}"#, "image names no repository"),
        (r#"{"image":"a b"}"#, "image holds ' '"),
        (r#"{"ref":"main","sha":"xyz","repository":"a/b"}"#, "sha must be a commit id"),
        (r#"{"ref":"main","sha":"2222222"}"#, "the key \"repository\" is missing"),
        (r#"{"ref":"a\u0007b","sha":"2222222","repository":"a/b"}"#, "ref holds a control character"),
        (&format!(r#"{{"image":"{}"}}"#, long.repeat(3)), "is longer than 640"),
        (&format!(r#"{{"image":"a","x":{}{}}}"#, "[".repeat(100), "]".repeat(100)), "nests deeper than 64"),
        ("[null,null,null,null,false]", "must be a JSON object"),
        (&"[".repeat(500_000), "nests deeper than 64"),
    ] {
        let refused = generic_call(body.as_bytes()).unwrap_err();
        let Refusal::Unreadable(text) = &refused else { panic!("{refused:?}") };
        assert!(text.contains(why) && text.len() <= 400 && !text.contains('\n'), "{body:.60}: {text}");
    }
    for (event, body) in [
        ("push", "{}"),
        ("push", r#"{"ref":"refs/heads/main","repository":{"full_name":"a/b"}}"#),
        ("push", r#"{"ref":5,"after":"2222222","repository":{"full_name":"a/b"}}"#),
        ("push", r#"{"ref":"refs/heads/main","after":"2222222","repository":"a/b"}"#),
        ("ping", "x"),
        ("", "{}"),
        ("pu sh", "{}"),
    ] {
        assert!(matches!(github(event, body.as_bytes()), Err(Refusal::Unreadable(_))), "{event} {body}");
    }
}

#[test]
fn a_signature_is_over_exactly_these_bytes() {
    let body = fixture("github-push.json");
    let spaced = [body.as_slice(), b" "].concat();
    let pairs = [("x-github-event", "push"), ("x-hub-signature-256", &sign(SECRET, &body))];
    assert!(call(&Provider::GitHub, &pairs, &body).is_ok());
    assert!(matches!(call(&Provider::GitHub, &pairs, &spaced), Err(Refusal::Unsigned(_))));
}

#[test]
fn only_one_whole_signature_counts() {
    let body = fixture("github-push.json");
    let good = sign(SECRET, &body);
    let upper = format!("sha256={}", good["sha256=".len()..].to_ascii_uppercase());
    let name = "x-hub-signature-256";
    let cut = &good[..good.len() - 2];
    let longer = format!("{good}00");
    let bare = &good["sha256=".len()..];
    let other = sign("another secret", &body);
    let bad: [&[(&str, &str)]; 12] = [
        &[],
        &[(name, "")],
        &[(name, "sha256=")],
        &[(name, cut)],
        &[(name, &longer)],
        &[(name, bare)],
        &[(name, &other)],
        &[(name, "sha256=zz")],
        &[(name, &good), (name, &good)],
        &[(name, &good), (name, "")],
        &[("x-hub-signature", "sha1=2fe41c5e4351d0622da9a09a1d37f49728d48664")],
        &[("x-signature", &good)],
    ];
    for pairs in bad {
        let all: Vec<_> = pairs.iter().copied().chain([("x-github-event", "push")]).collect();
        let refused = call(&Provider::GitHub, &all, &body).unwrap_err();
        assert!(matches!(refused, Refusal::Unsigned(_)), "{pairs:?}: {refused}");
        assert!(!refused.to_string().contains(bare) && !refused.to_string().contains(SECRET));
    }
    assert!(call(&Provider::GitHub, &[("x-github-event", "push"), (name, &upper)], &body).is_ok());
    assert!(
        call(&generic(), &[("x-signature", &sign(SECRET, b"{\"image\":\"a\"}")[7..])], b"{\"image\":\"a\"}").is_ok()
    );
}

#[test]
fn a_signature_that_is_no_text_is_refused() {
    let mut headers = headers(&[("x-github-event", "push")]);
    headers.insert("x-hub-signature-256", http::HeaderValue::from_bytes(b"sha256=\xff\xfe").unwrap());
    assert!(matches!(claimed(&Provider::GitHub, &headers), Err(Refusal::Unsigned(_))));
}

#[test]
fn both_secrets_count_and_it_is_told_which() {
    let body = fixture("github-push.json");
    let both = secrets(&[SECRET, OLD_SECRET]);
    for (secret, index) in [(SECRET, 0), (OLD_SECRET, 1)] {
        let headers = headers(&[("x-hub-signature-256", &sign(secret, &body))]);
        assert_eq!(verify(&claimed(&Provider::GitHub, &headers).unwrap(), &body, &both), Ok(index));
    }
}

#[test]
fn a_hook_without_a_secret_takes_nothing() {
    let body = fixture("github-push.json");
    let claimed = claimed(&Provider::GitHub, &headers(&[("x-hub-signature-256", &sign("", &body))])).unwrap();
    for none in [secrets(&[]), secrets(&[""])] {
        assert!(matches!(verify(&claimed, &body, &none), Err(Refusal::Unsigned(_))));
    }
}

#[test]
fn what_is_printed_of_a_hook_holds_no_secret() {
    let hook = Hook { id: GITHUB, name: "github".into(), provider: Provider::GitHub, secrets: secrets(&[SECRET, "b"]) };
    let printed = format!("{hook:?}");
    assert!(printed.contains("Secrets(2)") && !printed.contains(SECRET), "{printed}");
}

#[test]
fn a_form_is_signed_as_it_is_sent() {
    let json = String::from_utf8(fixture("github-push.json")).unwrap();
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish();
    let signature = sign(SECRET, form.as_bytes());
    let pairs = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("x-github-event", "push"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let read = call(&Provider::GitHub, &pairs, form.as_bytes()).unwrap();
    assert_eq!(read.items, [shop(ChangeKind::Branch, "refs/heads/main", SHA)]);
    let empty = sign(SECRET, b"other=1");
    let pairs = [pairs[0], pairs[1], ("x-hub-signature-256", &empty)];
    assert!(matches!(call(&Provider::GitHub, &pairs, b"other=1"), Err(Refusal::Unreadable(_))));
}

#[test]
fn other_content_types_are_refused() {
    let body = fixture("generic-image.json");
    for (pair, fine) in [
        (("content-type", "application/json; charset=utf-8"), true),
        (("content-type", "application/cloudevents+json"), true),
        (("content-type", "text/plain"), false),
        (("content-type", "application/x-www-form-urlencoded"), false),
        (("content-encoding", "gzip"), false),
    ] {
        let read = call(&generic(), &[pair, ("x-signature", &sign(SECRET, &body))], &body);
        assert_eq!(!matches!(read, Err(Refusal::UnsupportedType(_))), fine, "{pair:?}");
    }
}

#[test]
fn collected_github_payloads_are_read_as_expected() {
    let Some(root) = collected("") else { return };
    let table = std::fs::read_to_string(root.join("expectations.tsv")).unwrap();
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let columns: Vec<_> = row.split('\t').collect();
        if columns[1] != "github" {
            continue;
        }
        rows += 1;
        let (case, kind, repo, reference, sha) = (columns[0], columns[2], columns[3], columns[4], columns[5]);
        let body = std::fs::read(root.join(format!("github/{case}.json"))).unwrap();
        let pairs: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&std::fs::read(root.join(format!("github/{case}.headers.json"))).unwrap()).unwrap();
        let mut headers = headers(&pairs.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())).collect::<Vec<_>>());
        headers.insert("x-hub-signature-256", sign(SECRET, &body).parse().unwrap());
        let claimed = claimed(&Provider::GitHub, &headers).unwrap();
        verify(&claimed, &body, &secrets(&[SECRET])).unwrap();
        let read = parse(&Provider::GitHub, &claimed, &headers, &body).unwrap();
        assert_eq!(read.items.len(), 1, "{case}");
        let change = &read.items[0];
        let kind = match kind {
            "push" => ChangeKind::Branch,
            "tag" => ChangeKind::Tag,
            "ping" => ChangeKind::Ping,
            _ => ChangeKind::Other,
        };
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let seen = (change.kind, or_dash(&change.repo), or_dash(&change.reference), or_dash(&change.sha));
        assert_eq!(seen, (kind, repo.to_owned(), reference.to_owned(), sha.to_owned()), "{case}");
        let deployable = !change.deleted && !change.sha.is_empty();
        assert_eq!(deployable, columns[11] == "yes", "{case}");
        assert_eq!(change.deleted, columns[10] == "delete", "{case}");
    }
    assert!(rows >= 14, "only {rows} rows");
}

#[test]
fn collected_signatures_hold() {
    let Some(root) = collected("") else { return };
    let check = |body: &str, headers_file: &str| {
        let body = std::fs::read(root.join(body)).unwrap();
        let pairs: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&std::fs::read(root.join(headers_file)).unwrap()).unwrap();
        let headers = headers(&pairs.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())).collect::<Vec<_>>());
        let claimed = claimed(&Provider::GitHub, &headers)?;
        verify(&claimed, &body, &secrets(&["topsecret"]))?;
        parse(&Provider::GitHub, &claimed, &headers, &body)
    };
    let json = check("github/push-branch-update.json", "github/push-branch-update.headers.json").unwrap();
    let form = check("composed/github-form-encoded.body", "composed/github-form-encoded.headers.json").unwrap();
    assert_eq!(json.items, form.items);
    assert!(json.sender_id.is_some() && form.sender_id.is_some());
    let old = check("github/push-captured-sha1-only.json", "github/push-captured-sha1-only.headers.json");
    assert!(matches!(old, Err(Refusal::Unsigned(_))));
}
