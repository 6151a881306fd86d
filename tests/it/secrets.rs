//! Secrets over a whole engine in memory: what is recorded, what is told, what is refused, and that no value is in it.

use cutover::api::backend::{Backend, Refusal, SecretName};
use cutover::api::event_view;
use cutover::api::views::{SecretValue, SecretsAsk};
use cutover_domain::file::read;
use cutover_domain::registry::Apply;
use cutover_events::secret::SecretWay;
use cutover_events::{Event, StreamId};
use proptest::prelude::*;

use crate::whole::{Whole, person, policy, spec};

fn ask(values: &[(&str, &str)]) -> SecretsAsk {
    let one = |(name, value): &(&str, &str)| ((*name).to_owned(), SecretValue::Text((*value).to_owned()));
    SecretsAsk { values: values.iter().map(one).collect(), deploy: false }
}

fn name(name: &str) -> SecretName {
    SecretName { project: "default".into(), name: name.into() }
}

async fn registry(whole: &Whole) -> Vec<Event> {
    let commits = whole.backend.commands.log().read(StreamId::Registry, 1, 100_000).await.unwrap();
    commits.into_iter().flat_map(|sealed| sealed.commit.events).collect()
}

/// `web` with a password in its environment and a key as a file.
async fn needs(whole: &Whole) {
    let text = "[workloads.web]\nimage = \"x\"\nenv = { A = \"x${secret:password}\" }\nsecrets = [\"key\"]\n";
    let declared = read("f.toml", text.as_bytes()).unwrap().remove(0);
    let spec = cutover_events::workload::Spec { secrets: declared.spec.secrets, ..spec("web", policy()) };
    whole.apply(whole.web, "web", spec).await;
}

#[tokio::test]
async fn versions_are_recorded_and_told_with_who_needs_them() {
    let whole = Whole::begin(policy()).await;
    let anna = || person("anna");
    let set = whole.backend.secrets_set(anna(), "default".into(), ask(&[("key", "k1"), ("password", "hunter2")]));
    assert!(set.await.unwrap().secrets.iter().all(|secret| secret.changed && secret.version == 1));
    needs(&whole).await;
    let again = whole.backend.secrets_set(anna(), "default".into(), ask(&[("key", "k1"), ("password", "hunter3")]));
    let told: Vec<_> = again.await.unwrap().secrets.iter().map(|s| (s.name.clone(), s.version, s.changed)).collect();
    assert_eq!(told, [("key".to_owned(), 1, false), ("password".to_owned(), 2, true)]);
    let view = whole.backend.secret(name("password")).await.unwrap();
    assert_eq!(
        view.versions.iter().map(|v| (v.version, v.by.as_str())).collect::<Vec<_>>(),
        [(2, "anna"), (1, "anna")]
    );
    assert!(view.versions[0].hash != view.versions[1].hash);
    assert_eq!(
        (view.used_by[0].workload.as_str(), &view.used_by[0].ways[..]),
        ("default/web", &["env".to_owned()][..])
    );
    let all = whole.backend.secrets(Some("default".into())).await.unwrap();
    assert_eq!(all.secrets.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["key", "password"]);
    assert_eq!(whole.backend.secrets(Some("else".into())).await.unwrap().secrets, []);
}

#[tokio::test]
async fn what_is_needed_stays_and_what_is_missing_is_named() {
    let whole = Whole::begin(policy()).await;
    let declared = read("f.toml", b"[workloads.w]\nimage = \"x\"\nsecrets = [\"passwort\"]\n").unwrap().remove(0);
    whole
        .backend
        .secrets_set(person("anna"), "default".into(), ask(&[("password", "x1"), ("key", "x2")]))
        .await
        .unwrap();
    let apply =
        Apply { workload: whole.web, project: "default".into(), name: "w".into(), spec: declared.spec, deploy: true };
    let why = whole.backend.commands.live().registry().apply(apply).unwrap_err().to_string();
    assert!(
        why.contains("default/w: the secret passwort does not exist") && why.contains("did you mean password?"),
        "{why}"
    );
    needs(&whole).await;
    let refused = whole.backend.secret_remove(person("anna"), name("key")).await;
    assert!(matches!(&refused, Err(Refusal::NotAllowed(why)) if why.contains("default/web")), "{refused:?}");
    whole.apply(whole.web, "web", spec("web", policy())).await;
    whole.backend.secret_remove(person("anna"), name("key")).await.unwrap();
    let gone = whole.backend.secret(name("key")).await;
    assert!(matches!(&gone, Err(Refusal::UnknownName(_))), "{gone:?}");
    let again = whole.backend.secrets_set(person("anna"), "default".into(), ask(&[("key", "x2")])).await.unwrap();
    assert_eq!(again.secrets[0].version, 2, "no number is given out twice");
}

#[tokio::test]
async fn bad_names_and_values_are_refused_without_being_repeated() {
    let whole = Whole::begin(policy()).await;
    let long = "hunter2".repeat(10_000);
    let base64 = SecretsAsk {
        values: [("a".to_owned(), SecretValue::Bytes { base64: "hunter2!".into() })].into(),
        deploy: false,
    };
    for bad in [ask(&[]), ask(&[("a", "")]), ask(&[("a", &long)]), ask(&[("../a", "hunter2")]), base64] {
        let refused = whole.backend.secrets_set(person("anna"), "default".into(), bad).await.unwrap_err();
        assert!(matches!(&refused, Refusal::BadContent(why) if !why.contains("hunter2")), "{refused:?}");
    }
    let refused = whole.backend.secrets_set(person("anna"), "De fault".into(), ask(&[("a", "x1")])).await;
    assert!(matches!(refused, Err(Refusal::BadContent(_))));
    assert!(whole.backend.secrets(None).await.unwrap().secrets.is_empty());
}

#[tokio::test]
async fn a_renewal_keeps_every_value_and_changes_every_blob() {
    let whole = Whole::begin(policy()).await;
    for value in ["one1", "two2"] {
        whole.backend.secrets_set(person("anna"), "default".into(), ask(&[("a", value)])).await.unwrap();
    }
    let before = whole.backend.secret(name("a")).await.unwrap();
    let sealed = || whole.backend.commands.live().registry().secrets.get("default", "a").unwrap().versions.clone();
    let old = sealed();
    let view = whole.backend.secrets_rekey(person("anna"), "default".into()).await.unwrap();
    assert_eq!((view.secrets, view.versions), (1, 2));
    assert_eq!(whole.backend.secret(name("a")).await.unwrap(), before, "the same versions, with the same hashes");
    let owner = cutover::secrets::Owner::Project("default");
    let value = |digest| whole.backend.secrets.unseal(owner, digest).map(|value| value.to_string());
    assert_eq!(sealed().iter().map(|v| value(v.sealed).unwrap()).collect::<Vec<_>>(), ["one1", "two2"]);
    assert!(old.iter().all(|version| value(version.sealed).is_err()), "the old blobs are gone");
    assert!(matches!(whole.backend.secrets_rekey(person("anna"), "none".into()).await, Err(Refusal::UnknownName(_))));
}

#[tokio::test]
async fn a_plan_records_the_versions_that_it_takes() {
    let whole = Whole::begin(policy()).await;
    whole
        .backend
        .secrets_set(person("anna"), "default".into(), ask(&[("key", "k1"), ("password", "hunter2")]))
        .await
        .unwrap();
    needs(&whole).await;
    whole.publish("web", 1, Default::default());
    whole.push("web", 1).await;
    whole.live(whole.web, 1).await;
    let used = whole.state(whole.web).active.as_ref().unwrap().plan.template.secrets.clone();
    let told: Vec<_> = used.iter().map(|used| (used.name.as_str(), used.version, used.way)).collect();
    assert_eq!(told, [("key", 1, SecretWay::File), ("password", 1, SecretWay::Env)]);
    let set = SecretsAsk { deploy: true, ..ask(&[("password", "hunter3")]) };
    let view = whole.backend.secrets_set(person("anna"), "default".into(), set).await.unwrap();
    assert_eq!(view.deployments.len(), 1, "{view:?}");
    whole.ended(&view.deployments[0].deployment_id).await;
    let used = whole.state(whole.web).active.as_ref().unwrap().plan.template.secrets.clone();
    assert_eq!(used.iter().map(|used| used.version).collect::<Vec<_>>(), [1, 2]);
    let running = whole.backend.secret(name("password")).await.unwrap();
    assert_eq!(running.used_by[0].runs_with, Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever the value is: it is in no event, no answer, no debug output and no line of an export.
    #[test]
    fn no_value_is_ever_told(value in "[!-~]{9,40}", bytes in proptest::collection::vec(any::<u8>(), 9..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let whole = Whole::begin(policy()).await;
            let mut given = ask(&[("password", &value)]);
            let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes);
            given.values.insert("key".into(), SecretValue::Bytes { base64: base64.clone() });
            let mut told = vec![format!("{given:?}")];
            let set = whole.backend.secrets_set(person("anna"), "default".into(), given).await.unwrap();
            needs(&whole).await;
            told.push(format!("{set:?}{}", serde_json::to_string(&set).unwrap()));
            told.push(format!("{:?}", whole.backend.secrets_rekey(person("anna"), "default".into()).await.unwrap()));
            told.push(serde_json::to_string(&whole.backend.secrets(None).await.unwrap()).unwrap());
            told.push(serde_json::to_string(&whole.backend.secret(name("password")).await.unwrap()).unwrap());
            told.push(format!("{:?}", whole.backend.commands.live().registry()));
            for sealed in whole.backend.commands.log().read_all(1, 100_000).await.unwrap() {
                told.push(format!("{sealed:?}"));
                let lines = event_view::lines(&sealed.commit, |_| None);
                told.push(serde_json::to_string(&lines).unwrap());
            }
            for event in registry(&whole).await {
                let payload = event.payload().unwrap();
                let in_payload = |value: &[u8]| payload.windows(value.len()).any(|window| window == value);
                assert!(!in_payload(value.as_bytes()) && !in_payload(&bytes), "{event:?}");
            }
            let redactor = cutover::logs::Redactor::new([value.as_bytes(), &bytes, base64.as_bytes()]);
            for text in told {
                assert_eq!(redactor.text(&text), text, "a value is told");
            }
        });
    }
}
