//! Over files that `sops` 3.11.0 has made (tests/fixtures/sops/README.md), and what somebody makes of them.

use std::path::{Path, PathBuf};

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sops").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

/// With the identity that opens the files.
fn ours() -> Places {
    Places { file: Some(fixture("identity.txt").into()), ..Places::default() }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let found = read(text, &ours()).unwrap();
    found.into_iter().map(|(name, value)| (name, String::from_utf8(value.to_vec()).unwrap())).collect()
}

fn refused(text: &str) -> String {
    let why = read(text, &ours()).err().unwrap();
    assert!(!why.contains("hunter2") && why.lines().count() == 1, "{why}");
    why
}

const ALL: [(&str, &str); 15] = [
    ("DB_PASSWORD", "hunter2-Zq8!"),
    ("DEBUG", "true"),
    ("EMPTY", ""),
    ("GREETING", "grüß: #1 \"you\""),
    ("KEY", "-----BEGIN KEY-----\nMIIEvQ\n-----END KEY-----\n"),
    ("LIMITS_unencrypted_cpu", "2"),
    ("LIMITS_unencrypted_note", "10.0.0.1"),
    ("LIMITS_unencrypted_share", "1.5"),
    ("LIMITS_unencrypted_strict", "false"),
    ("PORT", "5432"),
    ("RATIO", "0.25"),
    ("REGION_unencrypted", "eu-1"),
    ("db_hosts_0", "one"),
    ("db_hosts_1_name", "two"),
    ("db_hosts_1_port", "7"),
];

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn each_form_gives_the_values_that_it_was_made_of() {
    let mut all = owned(&ALL);
    all.push(("db_user".to_owned(), "shop".to_owned()));
    assert_eq!(pairs(&text("all.yaml")), all);
    assert_eq!(pairs(&text("all.json")), all);
    assert_eq!(pairs(&text("all.yaml").replace('\n', "\r\n")), all, "a file may have been through another system");
    // What the lines mean: as without SOPS.
    let expected = [
        ("DB_PASSWORD", "hunter2-Zq8!"),
        ("EMPTY", ""),
        ("PORT", "5432"),
        ("QUOTED", "two words # one"),
        ("REGION_unencrypted", "eu-1"),
        ("SINGLE", "$HOME"),
    ];
    assert_eq!(pairs(&text("all.env")), owned(&expected));
    let blob = read(&text("blob.json"), &ours()).unwrap();
    assert_eq!(blob.get("data").map(|bytes| bytes.as_slice()), Some(&b"bin\0ary"[..]));
}

#[test]
fn every_rule_of_what_is_sealed_is_followed() {
    let suffix = [("api_secret", "hunter2"), ("name", "shop"), ("nested_secret_a", "1")];
    assert_eq!(pairs(&text("suffix.yaml")), owned(&suffix));
    assert_eq!(pairs(&text("two.yaml")), owned(&suffix), "for several identities");
    let below = [
        ("kind", "Secret"),
        ("metadata_made", "2026-01-31T00:00:00Z"),
        ("metadata_name", "shop"),
        ("stringData_password", "hunter2"),
        ("stringData_port", "7"),
    ];
    assert_eq!(pairs(&text("regex.yaml")), owned(&below));
    assert_eq!(pairs(&text("unregex.yaml")), owned(&[("kind", "Secret"), ("labels_a", "b"), ("password", "hunter2")]));
    // Where the MAC goes over sealed values alone, others may change, and no other one may take the place of a sealed one.
    assert!(
        pairs(&text("regex.yaml").replace("name: shop", "name: other"))
            .contains(&("metadata_name".into(), "other".into()))
    );
    let added = text("regex.yaml").replace("stringData:\n", "stringData:\n    more: hunter2\n");
    assert!(refused(&added).starts_with("stringData:more: its value is not what SOPS has written"));
}

#[test]
fn what_was_changed_gives_nothing() {
    let all = text("all.yaml");
    let line = |name: &str| all.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
    let password = line("DB_PASSWORD: ");
    let value = |name: &str| line(name).split_once(": ").unwrap().1.to_owned();
    let elsewhere = "its value is not what SOPS has written there";
    for (changed, why) in [
        // Another value, that of another place, a value in the clear, another kind of value.
        (all.replace("data:j6tc", "data:k6tc"), elsewhere),
        (all.replace(&value("DB_PASSWORD"), &value("GREETING")), elsewhere),
        (all.replace(&value("DB_PASSWORD"), "mine"), elsewhere),
        (all.replace("DB_PASSWORD: ", "DB_PASSPHRASE: "), elsewhere),
        // One that goes, comes in the clear, or is another one in the clear; their order.
        (all.replace(&format!("{password}\n"), ""), "its MAC is another one"),
        (all.replace("EMPTY: \"\"", "EMPTY: \"\"\nMORE_unencrypted: mine"), "its MAC is another one"),
        (all.replace("REGION_unencrypted: eu-1", "REGION_unencrypted: eu-2"), "its MAC is another one"),
        (
            format!("{}\n{}", line("PORT: "), all.replace(&format!("{}\n", line("PORT: ")), "")),
            "its MAC is another one",
        ),
        // The MAC itself.
        (all.replace("mac: ENC[AES256_GCM,data:3D", "mac: ENC[AES256_GCM,data:4D"), "its MAC cannot be read"),
        (all.replace(&line("mac: "), "    mac: \"\""), "its MAC cannot be read"),
        (
            all.replace("lastmodified: \"2026-11-27T18:30:38Z\"", "lastmodified: \"2026-11-27T18:30:39Z\""),
            "its MAC cannot be read",
        ),
        (
            all.replace(
                "unencrypted_suffix: _unencrypted",
                "unencrypted_suffix: _unencrypted\n    mac_only_encrypted: true",
            ),
            "its MAC is another one",
        ),
    ] {
        assert_ne!(changed, all, "{why}");
        let told = refused(&changed);
        assert!(told.contains(why), "{why}: {told}");
    }
    let env = text("all.env");
    assert!(
        refused(&env.replace("REGION_unencrypted=eu-1", "REGION_unencrypted=eu-2")).contains("its MAC is another one")
    );
}

#[test]
fn what_is_for_somebody_else_is_told_with_what_opens_it() {
    let other = refused(&text("other.yaml"));
    assert!(other.contains("SOPS_AGE_KEY_FILE opens it") && other.contains("age1nh6jfzdg7dk4s"), "{other}");
    let all = text("all.yaml");
    for (changed, why) in [
        (text("groups.yaml"), "several groups"),
        (text("plain.ini"), "INI file"),
        (all.replace("    age:\n", "    pgp:\n"), "for pgp and not for age"),
        (all.replace("    age:\n", "    kms:\n"), "for kms and not for age"),
        (all.replace("unencrypted_suffix: _unencrypted", "encrypted_comment_regex: x"), "depends on comments"),
        (all.replace("unencrypted_suffix: _unencrypted", "encrypted_regex: '('"), "pattern of names"),
        (all.replace("\nsops:\n", "\nother:\n"), "no part of SOPS that is read here"),
        (all.replace("cpu: 2\n", "cpu: 0x2\n"), "LIMITS_unencrypted:cpu"),
    ] {
        assert_ne!(changed, all, "{why}");
        let told = refused(&changed);
        assert!(
            told.contains(why) && told.contains("`sops decrypt --output-type dotenv FILE | cutover"),
            "{why}: {told}"
        );
    }
    let twice = all.replace("EMPTY: \"\"", "db_user: \"\"");
    assert!(refused(&twice).contains("would be called db_user"));
    assert!(refused(&all.replace("EMPTY: \"\"", "PORT: \"\"")).contains("PORT is there twice"));
}

#[test]
fn identities_are_where_sops_looks_for_them() {
    let (all, dir) = (text("all.yaml"), tempfile::tempdir().unwrap());
    let key = text("identity.txt").lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap().to_owned();
    let usual = dir.path().join("keys.txt");
    let none = Places { usual: Some(usual.clone()), ..Places::default() };
    let why = read(&all, &none).err().unwrap();
    assert!(why.contains("SOPS_AGE_KEY or SOPS_AGE_KEY_FILE") && why.contains("keys.txt"), "{why}");
    let opens = |places: &Places| read(&all, places).is_ok();
    assert!(opens(&Places { key: Some(key.clone().into()), ..Places::default() }));
    std::fs::write(&usual, format!("# mine\n\n{key}\n")).unwrap();
    assert!(opens(&none));
    // One that does not open it is no reason to leave out one that does.
    let other = age::x25519::Identity::generate();
    let other = age::secrecy::ExposeSecret::expose_secret(&other.to_string()).to_owned();
    assert!(opens(&Places { key: Some(format!("{other} {key}").into()), ..Places::default() }));
    assert!(!opens(&Places { key: Some(other.into()), ..Places::default() }));
    for bad in ["hunter2", "AGE-PLUGIN-YUBIKEY-1QQQ", "-----BEGIN OPENSSH PRIVATE KEY-----"] {
        let why = read(&all, &Places { key: Some(bad.into()), ..Places::default() }).err().unwrap();
        assert!(why.starts_with("SOPS_AGE_KEY holds what is no identity of age") && !why.contains(bad), "{why}");
    }
    let gone = Places { file: Some(dir.path().join("none").into()), ..Places::default() };
    assert!(read(&all, &gone).err().unwrap().starts_with("SOPS_AGE_KEY_FILE: "));
}
