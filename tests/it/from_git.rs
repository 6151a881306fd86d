//! Repositories of git as places of workloads, by the real program on real Docker: private ones, exactly the pushed commit,
//! and rules by path.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::git_support::{Repository, Served, daemon, git, http};
use crate::intake_support::sign;
use crate::stand::{Stand, lossy, text};

const TOKEN: &str = "t0ken-Zq8-value";
/// `deploy:t0ken-Zq8-value`, as it goes over the wire.
const HEADER: &str = "Basic ZGVwbG95OnQwa2VuLVpxOC12YWx1ZQ==";
const SOON: &str = "policy = { liveness = \"100ms\", drain = \"100ms\", bake = \"100ms\", stop_timeout = \"1s\" }";

/// A repository on loopback that opens for the token alone.
async fn private(stand: &Stand) -> (Repository, Served) {
    let root = stand.folder().join("served");
    std::fs::create_dir(&root).unwrap();
    let repository = Repository::new(&root, "mono");
    let served = http(&root, Some(HEADER)).await;
    (repository, served)
}

async fn set_secret(stand: &Stand, name: &str, value: &str) {
    let mut command = stand.command(&["secret", "set", &format!("{}/{name}", stand.project)]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).await.unwrap();
    let said = child.wait_with_output().await.unwrap();
    assert!(said.status.success(), "{}", lossy(&said.stderr));
}

/// A hook of the engine, by its id and secret.
struct Hook {
    id: String,
    secret: String,
}

impl Hook {
    async fn add(stand: &Stand) -> Self {
        let told = stand.must(&["hook", "add", "ci", "--provider", "generic", "--json"]).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        let of = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
        Self { id: of(&told["hook"]["hook_id"]), secret: of(&told["secret"]) }
    }

    /// Tells of a commit on main.
    async fn push(&self, stand: &Stand, commit: &str) {
        let body = format!("{{\"ref\":\"refs/heads/main\",\"sha\":\"{commit}\",\"repository\":\"acme/mono\"}}");
        let head = format!(
            "POST /hooks/{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n\
             X-Signature: {}\r\nContent-Length: {}\r\n\r\n",
            self.id,
            sign(&self.secret, body.as_bytes()),
            body.len()
        );
        let mut stream = UnixStream::connect(stand.folder().join("data/hooks.sock")).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
}

/// The reasons of the newest decision.
async fn decided(stand: &Stand, count: usize) -> Vec<String> {
    stand.until("it is decided", async |stand| stand.of_kind("DeliveryDecided").await.len() == count).await;
    let newest = stand.of_kind("DeliveryDecided").await.pop().unwrap();
    let verdicts = newest["verdicts"].as_array().unwrap().clone();
    verdicts.iter().map(|verdict| verdict["why"].as_str().unwrap().to_owned()).collect()
}

async fn nothing_of_it_is_seen(stand: &Stand) {
    let told = [
        stand.must(&["log", "export"]).await,
        stand.must(&["events", "--json"]).await,
        std::fs::read_to_string(stand.folder().join("serve.log")).unwrap(),
    ]
    .concat();
    assert!(!told.contains(TOKEN) && !told.contains("ZGVwbG95OnQw"), "the token is seen");
    let mut open = vec![stand.folder().join("data")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    let content = lossy(&std::fs::read(entry.path()).unwrap_or_default());
                    assert!(!content.contains(TOKEN), "{}", entry.path().display());
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_private_repository_is_built_at_the_pushed_commit_and_only_for_its_paths() {
    let stand = Stand::begin().await;
    let (repository, served) = private(&stand).await;
    let docker = |who: &str| format!("FROM {}\nENV WHO={who}\n", stand.image);
    let first = repository.commit(&[("services/api/Dockerfile", &docker("one")), ("README.md", "1")]);
    let hook = Hook::add(&stand).await;
    let lines = |credentials: &str| {
        format!(
            "dockerfile = {{ context = \"http://{}/acme/mono.git#main:services/api\", deploy_strategy = \"blue-green\"{credentials} }}\n\
             deploy = {{ hook = \"ci\", repo = \"acme/mono\", branch = \"main\", paths = [\"services/api/**\", \"!**/*.md\"] }}\n\
             port = 8080\nhost = \"web.{}.test\"\n{SOON}",
            served.address, stand.project
        )
    };
    // Where the server has it.
    let acme = stand.folder().join("served/acme");
    std::fs::create_dir(&acme).unwrap();
    std::os::unix::fs::symlink("../mono.git", acme.join("mono.git")).unwrap();
    let name = format!("{}/web", stand.project);
    // Without its secret, and with another one, it is one line.
    let file = stand.folder().join("web.toml");
    let declare = |credentials: &str| {
        std::fs::write(&file, format!("project = \"{}\"\n[workloads.web]\n{}\n", stand.project, lines(credentials)))
            .unwrap();
    };
    let file = file.display().to_string();
    declare(", credentials = \"forge\"");
    let missing = stand.ask(&["apply", &file]).await;
    assert!(!missing.status.success() && lossy(&missing.stderr).contains("forge"), "{}", lossy(&missing.stderr));
    set_secret(&stand, "forge", "wrong").await;
    let wrong = stand.ask(&["apply", &file]).await;
    let said = lossy(&wrong.stderr) + &lossy(&wrong.stdout);
    assert!(wrong.status.code() == Some(10) && said.contains("does not give this repository"), "{said}");
    set_secret(&stand, "forge", &format!("deploy:{TOKEN}\n")).await;
    stand.must(&["deploy", &name]).await;
    assert!(stand.get("/").await.ends_with("one"));

    // Exactly the pushed commit, although the branch has gone on.
    let second = repository.commit(&[("services/api/Dockerfile", &docker("two"))]);
    repository.commit(&[("services/api/Dockerfile", &docker("three"))]);
    hook.push(&stand, &second).await;
    let why = decided(&stand, 1).await;
    assert!(why[0].contains(&format!("services/api/Dockerfile has changed since {}", &first[..7])), "{why:?}");
    stand.until("the commit is live", async |stand| stand.get("/").await.ends_with("two")).await;
    stand.until("it is done", async |stand| stand.of_kind("DeploymentSucceeded").await.len() == 2).await;

    // What is deployed counts, not what the push before was.
    git(&repository.work(), &["reset", "--quiet", "--hard", &second]);
    let docs = repository_commit(&repository, &[("services/api/README.md", "2"), ("site/x", "1")]);
    hook.push(&stand, &docs).await;
    let why = decided(&stand, 2).await;
    let expected =
        format!("no path of services/api/**, !**/*.md has changed since {}, which is deployed", &second[..7]);
    assert_eq!(why, [expected]);
    let both = repository_commit(&repository, &[("services/api/Dockerfile", &docker("four"))]);
    let newest = repository_commit(&repository, &[("site/x", "2")]);
    assert_ne!(both, newest);
    hook.push(&stand, &newest).await;
    decided(&stand, 3).await;
    stand.until("what came before it is live too", async |stand| stand.get("/").await.ends_with("four")).await;

    // A repository that does not answer keeps nothing from being deployed.
    drop(served);
    hook.push(&stand, &"5".repeat(40)).await;
    let why = decided(&stand, 4).await;
    assert!(why[0].contains("is not known, so all of it counts") && why[0].contains("cannot be reached"), "{why:?}");
    let resolved = stand.of_kind("ReleaseResolved").await;
    let commits: Vec<_> = resolved.iter().filter_map(|event| text(event, "reference")).collect();
    assert!(commits.iter().any(|reference| reference.contains(&second)), "{commits:?}");
    nothing_of_it_is_seen(&stand).await;
    stand.end(&["web"]).await;
}

/// A commit that is pushed over what was there.
fn repository_commit(repository: &Repository, files: &[(&str, &str)]) -> String {
    for (name, content) in files {
        let path = repository.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    git(&repository.work(), &["add", "--all"]);
    git(&repository.work(), &["commit", "--quiet", "-m", "change"]);
    git(&repository.work(), &["push", "--quiet", "--force", "origin", "HEAD"]);
    git(&repository.work(), &["rev-parse", "HEAD"])
}

#[tokio::test]
async fn a_stack_and_a_site_are_deployed_at_exactly_the_pushed_commit() {
    let stand = Stand::begin().await;
    let (repository, served) = private(&stand).await;
    let stack = |who: &str| {
        format!(
            "services:\n  web: {{ image: \"{}\", stop_grace_period: 1s, env_file: [web.env] }}\n# {who}\n",
            stand.image
        )
    };
    let files = |who: &str| {
        [
            ("stack/compose.yml", stack(who)),
            ("stack/web.env", format!("WHO={who}\n")),
            ("site/index.html", format!("site of {who}")),
        ]
    };
    let commit = |who: &str| {
        let files = files(who);
        repository.commit(&files.each_ref().map(|(name, content)| (*name, content.as_str())))
    };
    commit("one");
    set_secret(&stand, "forge", &format!("deploy:{TOKEN}")).await;
    let hook = Hook::add(&stand).await;
    let stack_lines = format!(
        "compose = {{ file = \"http://{}/mono.git#main:stack/compose.yml\", credentials = \"forge\" }}\n\
         deploy = \"ci:acme/mono@main\"\n{SOON}\n\
         [[workloads.web.routes]]\nhost = \"web.{}.test\"\nservice = \"web\"\nport = 8080",
        served.address, stand.project
    );
    // A repository that is named otherwise than the delivery says is not built at its commit.
    let acme = stand.folder().join("served/acme");
    std::fs::create_dir(&acme).unwrap();
    std::os::unix::fs::symlink("../mono.git", acme.join("mono.git")).unwrap();
    let stack_lines = stack_lines.replace("/mono.git#", "/acme/mono.git#");
    stand.apply("web", &stack_lines).await;
    assert!(stand.get("/").await.ends_with("one"));
    let open = daemon(&stand.folder().join("served")).await;
    let site_lines = format!(
        "static = \"git://{}/acme/mono.git#main:site\"\ndeploy = \"ci:acme/mono@main\"\nhost = \"www.{}.test\"",
        open.address, stand.project
    );
    stand.apply("www", &site_lines).await;
    let second = commit("two");
    commit("three");
    hook.push(&stand, &second).await;
    stand.until("the stack of the commit is live", async |stand| stand.get("/").await.ends_with("two")).await;
    let of_site = async |stand: &Stand| {
        let told = stand.must(&["releases", &format!("{}/www", stand.project), "--json"]).await;
        told.contains(&second)
    };
    stand.until("the site of the commit is live", of_site).await;
    let resolved = stand.of_kind("ReleaseResolved").await;
    let of_second: Vec<_> = resolved.iter().filter_map(|event| text(event, "reference")).collect();
    assert_eq!(of_second.iter().filter(|reference| reference.contains(&second)).count(), 2, "{of_second:?}");
    nothing_of_it_is_seen(&stand).await;
    stand.end(&["web", "www"]).await;
}

#[tokio::test]
async fn an_address_in_the_clear_is_refused_unless_it_is_this_machine() {
    let stand = Stand::begin().await;
    for place in ["http://git.test/a.git", "git://git.test/a.git"] {
        let file = stand.folder().join("clear.toml");
        let text = format!("project = \"{}\"\n[workloads.web]\nstatic = \"{place}\"\n", stand.project);
        std::fs::write(&file, text).unwrap();
        let said = stand.ask(&["apply", &file.display().to_string()]).await;
        let line = lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(15), "{line}");
        assert!(line.contains("in between") && line.contains("[limits] git") && line.lines().count() == 1, "{line}");
    }
    assert!(stand.of_kind("WorkloadRegistered").await.is_empty());
    stand.end(&[]).await;
}
