use std::path::PathBuf;

use cutover_proxy::config::AccessLog;

use super::keys::{KEYS, TOP, of_section};
use super::{Config, LogFormat, example};

fn text(text: &str) -> Result<Config, String> {
    Config::default().with_text("c.toml", text.as_bytes()).map_err(|bad| bad.to_string())
}

fn variables(pairs: &[(&str, &str)]) -> Result<Config, String> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::default().with(None, pairs, &[]).map_err(|bad| bad.to_string())
}

#[test]
fn the_example_is_the_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
    if std::env::var_os("CUTOVER_BLESS").is_some() {
        std::fs::write(path, example()).unwrap();
    }
    let file = &std::fs::read_to_string(path).unwrap();
    assert_eq!(file, &example(), "written again by: CUTOVER_BLESS=1 cargo test the_example_is_the_default");
    assert_eq!(text(file), Ok(Config::default()));
    for key in KEYS {
        let name = key.path.rsplit('.').next().unwrap_or_default();
        assert!(file.contains(&format!("\n{name} = ")), "{name}");
    }
}

#[test]
fn every_key_is_known_to_its_section() {
    for key in KEYS {
        match key.path.split_once('.') {
            Some((section, name)) => {
                assert!(TOP.contains(&section) && of_section(section).is_some_and(|names| names.contains(&name)));
            }
            None => assert!(TOP.contains(&key.path)),
        }
    }
    let listed: usize = TOP.iter().map(|name| of_section(name).map_or(1, <[_]>::len)).sum();
    assert_eq!(listed, KEYS.len());
}

#[test]
fn what_is_printed_means_the_same() {
    let given = "data_dir = \"/srv/cut over\"\napi.listen = \"[::1]:7070\"\nproxy.listen = [\"0.0.0.0:80\", \"[::]:80\"]\n\
                 proxy.trusted = [\"10.0.0.0/8\"]\nproxy.access_log = \"/var/log/c.log\"\n\
                 [hooks]\nhost = \"Hooks.example.com\"\n[docker]\nsocket = \"/run/d.sock\"\n\
                 [limits]\neffects = 2\nkeep_bodies = \"1d\"\nkeep_output = \"36h\"\n[log]\nformat = \"json\"\n\
                 level = \"warn,cutover::store=debug\"\n";
    let config = text(given).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/srv/cut over"));
    assert_eq!(config.hooks.host.as_deref(), Some("hooks.example.com"));
    assert_eq!((config.limits.effects, config.log.format), (2, LogFormat::Json));
    assert_eq!(config.proxy.access_log, Some(AccessLog::File("/var/log/c.log".into())));
    assert_eq!(text(&config.to_string()), Ok(config));
    assert_eq!(text("proxy.listen = \"0.0.0.0:80\""), Ok(Config::default()));
}

#[test]
fn later_places_overrule_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "[log]\nlevel = \"warn\"\nformat = \"json\"\n[limits]\neffects = 3\n").unwrap();
    let environment = [("CUTOVER_LOG__LEVEL", "debug"), ("CUTOVER_LIMITS__EFFECTS", "5"), ("PATH", "/bin")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let flags = [("limits.effects", "7".to_owned())];
    let config = Config::default().with(Some(&file), environment.into_iter(), &flags).unwrap();
    assert_eq!((config.limits.effects, config.log.level.as_str(), config.log.format), (7, "debug", LogFormat::Json));
}

#[test]
fn variables_are_read_like_keys() {
    let config = variables(&[
        ("CUTOVER_DATA_DIR", "/data"),
        ("CUTOVER_PROXY__LISTEN", "127.0.0.1:1, 127.0.0.1:2"),
        ("CUTOVER_TOKEN", "not a key"),
    ])
    .unwrap();
    assert_eq!((config.data_dir, config.proxy.listen.len()), (PathBuf::from("/data"), 2));
    let cases = [
        (("CUTOVER_PROXY__LISTENS", "x"), "CUTOVER_PROXY__LISTEN?"),
        (("CUTOVER_ZZZ__QQQ", "x"), "CUTOVER_DATA_DIR"),
        (("CUTOVER_LIMITS__EFFECTS", "0"), "1 to 64"),
        (("CUTOVER_API__LISTEN", "7070"), "127.0.0.1:7070"),
    ];
    for (pair, word) in cases {
        let bad = variables(&[pair]).expect_err(pair.0);
        assert!(bad.contains(word) && bad.contains(pair.0), "{bad}");
    }
}

#[test]
fn faults_have_a_place_a_key_and_what_is_allowed() {
    let cases = [
        ("dta_dir = \"/x\"", "c.toml:1:1: dta_dir: ", "\"data_dir\""),
        ("zzzz = 1", "c.toml:1:1: zzzz: ", "data_dir, api, proxy"),
        ("data_dir = \"x\"", "c.toml:1:12: data_dir: ", "absolute"),
        ("data_dir = 1", "c.toml:1:12: data_dir: ", "a string"),
        ("[proxy]\nlistne = []", "c.toml:2:1: proxy.listne: ", "\"listen\""),
        ("[proxy]\nlisten = []", "c.toml:2:10: proxy.listen: ", "at least one"),
        ("[proxy]\nlisten = 80", "c.toml:2:10: proxy.listen: ", "a string"),
        ("[proxy]\nlisten = [\"0.0.0.0:70000\"]", "c.toml:2:10: proxy.listen: ", "address"),
        ("[proxy]\ntrusted = [\"ten\"]", "c.toml:2:11: proxy.trusted: ", "10.0.0.0/8"),
        ("[proxy]\naccess_log = \"here.log\"", "c.toml:2:14: proxy.access_log: ", "\"stdout\""),
        ("proxy = 1", "c.toml:1:9: proxy: ", "a table"),
        ("[log]\nformat = \"jsn\"", "c.toml:2:10: log.format: ", "\"json\""),
        ("[log]\nlevel = \"loud\"", "c.toml:2:9: log.level: ", "\"debug\""),
        ("[hooks]\nhost = \"a b\"", "c.toml:2:8: hooks.host: ", "DNS name"),
        ("[limits]\neffects = -1", "c.toml:2:11: limits.effects: ", "1 to 64"),
        ("[limits]\nkeep_output = \"1s\"", "c.toml:2:15: limits.keep_output: ", "1h to 365d"),
        ("[limits", "c.toml:1:", "not valid TOML"),
    ];
    for (given, start, word) in cases {
        let bad = text(given).expect_err(given);
        assert!(bad.starts_with(start) && bad.contains(word), "{given}\n{bad}");
    }
    let long = format!("data_dir = \"/{}\"", "a".repeat(200));
    assert!(text(&long).is_err_and(|bad| bad.contains("sockets")));
    let missing = Config::default().with(Some(&PathBuf::from("/nowhere/c.toml")), std::iter::empty(), &[]);
    assert!(missing.is_err_and(|bad| bad.to_string().starts_with("/nowhere/c.toml: ")));
}

#[test]
fn a_user_gets_a_folder_of_their_own() {
    let of =
        |state: Option<&str>, home: Option<&str>| Config::of_user(state.map(Into::into), home.map(Into::into)).data_dir;
    assert_eq!(of(Some("/s"), Some("/h")), PathBuf::from("/s/cutover"));
    assert_eq!(of(None, Some("/h")), PathBuf::from("/h/.local/state/cutover"));
    assert_eq!(of(Some("relative"), None), PathBuf::from("/var/lib/cutover"));
}
