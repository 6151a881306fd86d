//! What a laptop sends to be deployed, by the real program on real Docker.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;

use crate::docker;
use crate::stand::{Stand, ended, lossy, text};

const SOON: &str = "policy = { liveness = \"100ms\", drain = \"100ms\", bake = \"100ms\", stop_timeout = \"1s\" }";

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// A Dockerfile of our program that answers with `who`.
fn answers(stand: &Stand, who: &str) -> String {
    format!("FROM {}\nENV WHO={who}\n", stand.image)
}

/// A folder of a laptop: the engine may read none of it by itself.
fn laptop(stand: &Stand, files: &[(&str, &str)]) -> PathBuf {
    let folder = stand.folder().join("laptop");
    write(&folder, files);
    folder
}

fn path(folder: &Path) -> String {
    folder.display().to_string()
}

/// How many deployments there were.
async fn wishes(stand: &Stand) -> usize {
    stand.of_kind("IntentQueued").await.len()
}

/// Uploads that the engine has.
fn kept(stand: &Stand) -> usize {
    std::fs::read_dir(stand.folder().join("data/uploads")).map_or(0, Iterator::count)
}

/// A command with something on its standard input.
async fn fed(stand: &Stand, args: &[&str], input: &[u8]) -> Output {
    let mut command = stand.command(args);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever refuses at once reads no further.
    drop(stdin.write_all(input).await);
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn refused(output: &Output, says: &[&str]) {
    let line = lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(15), "{line}");
    assert!(line.trim_end().lines().count() == 1 && says.iter().all(|word| line.contains(word)), "{line}");
}

#[tokio::test]
async fn a_folder_is_sent_once_deployed_and_rolled_back_from() {
    let stand = Stand::begin().await;
    let place = stand.folder().join("src/web");
    write(&place, &[("Dockerfile", &answers(&stand, "place"))]);
    let lines = format!(
        "dockerfile = {{ context = \"{}\", deploy_strategy = \"blue-green\" }}\nport = 8080\nhost = \"web.{}.test\"\n{SOON}",
        place.display(),
        stand.project
    );
    stand.apply("web", &lines).await;
    assert!(stand.get("/").await.ends_with("place"));
    let from =
        laptop(&stand, &[("Dockerfile", &answers(&stand, "laptop")), (".dockerignore", "junk\n"), ("junk", "1")]);
    let (name, from) = (format!("{}/web", stand.project), path(&from));
    stand.must(&["deploy", &name, "--from", &from, "--key", "ci-1"]).await;
    assert!(stand.get("/").await.ends_with("laptop"));
    // The same again under its key is the same deployment, and nothing is sent; what is left out changes nothing.
    write(Path::new(&from), &[("junk", "2")]);
    let (before, files) = (wishes(&stand).await, kept(&stand));
    let again = stand.ask(&["deploy", &name, "--from", &from, "--key", "ci-1"]).await;
    assert!(again.status.success() && lossy(&again.stderr).contains("nothing is sent"), "{}", lossy(&again.stderr));
    assert_eq!((wishes(&stand).await, kept(&stand), files), (before, 1, 1));
    // Without --from it is the place of the file again.
    stand.must(&["deploy", &name]).await;
    assert!(stand.get("/").await.ends_with("place"));
    stand.must(&["rollback", &name]).await;
    assert!(stand.get("/").await.ends_with("laptop"), "a rollback needs no upload");
    let resolved = stand.of_kind("ReleaseResolved").await;
    let of_upload = resolved.iter().filter_map(|event| text(event, "reference"));
    assert_eq!(of_upload.filter(|reference| reference.starts_with("upload:")).count(), 1);
    // A folder without what it is made by is refused before anything is sent.
    let empty = laptop(&stand, &[("sub/other", "1")]).join("sub");
    refused(&stand.ask(&["deploy", &name, "--from", &path(&empty)]).await, &["no Dockerfile"]);
    assert_eq!(kept(&stand), 1);
    stand.end(&["web"]).await;
}

#[tokio::test]
async fn an_upload_that_was_accepted_is_deployed_although_the_engine_dies() {
    let mut stand = Stand::begin().await;
    let place = stand.folder().join("src/web");
    write(&place, &[("Dockerfile", &answers(&stand, "place"))]);
    let lines =
        format!("dockerfile = \"{}\"\nport = 8080\nhost = \"web.{}.test\"\n{SOON}", place.display(), stand.project);
    stand.apply("web", &lines).await;
    let from = laptop(&stand, &[("Dockerfile", &answers(&stand, "laptop"))]);
    let name = format!("{}/web", stand.project);
    stand.must(&["deploy", &name, "--from", &path(&from), "--detach"]).await;
    stand.kill().await;
    std::fs::remove_dir_all(&from).unwrap();
    // Over TCP, too, as CI does it.
    let api = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = stand.folder().join("config.toml");
    let text = format!("{}[api]\nlisten = \"{api}\"\n", std::fs::read_to_string(&config).unwrap());
    std::fs::write(&config, text).unwrap();
    stand.start().await;
    stand.until("it goes on", async |stand| stand.get("/").await.ends_with("laptop")).await;
    let added: serde_json::Value = serde_json::from_str(&stand.must(&["token", "add", "ci", "--json"]).await).unwrap();
    let from = laptop(&stand, &[("Dockerfile", &answers(&stand, "ci"))]);
    let archive = stand.folder().join("ci.tar.gz");
    let packed = std::process::Command::new("tar").args(["-czf", &path(&archive), "-C", &path(&from), "."]).status();
    assert!(packed.unwrap().success());
    let url = format!("http://{api}");
    let mut command = stand.command(&["--url", &url, "deploy", &name, "--from", &path(&archive)]);
    command.env("CUTOVER_TOKEN", added["token"].as_str().unwrap());
    let sent = ended(command).await;
    assert!(sent.status.success(), "{}", lossy(&sent.stderr));
    assert!(stand.get("/").await.ends_with("ci"));
    stand.end(&["web"]).await;
}

#[tokio::test]
async fn a_site_is_sent_without_its_dot_files_and_bad_archives_are_refused() {
    let stand = Stand::begin().await;
    let place = stand.folder().join("src/web");
    write(&place, &[("index.html", "from the place")]);
    let lines = format!("static = \"{}\"\nhost = \"web.{}.test\"", place.display(), stand.project);
    stand.apply("web", &lines).await;
    let from = laptop(&stand, &[("index.html", "from the laptop"), (".env", "hunter22"), (".git/HEAD", "hunter22")]);
    let name = format!("{}/web", stand.project);
    stand.must(&["deploy", &name, "--from", &path(&from)]).await;
    assert!(stand.get("/").await.ends_with("from the laptop"));
    let upload = std::fs::read_dir(stand.folder().join("data/uploads")).unwrap().next().unwrap().unwrap();
    assert!(!lossy(&std::fs::read(upload.path()).unwrap()).contains("hunter22"));
    let mut plain = tar::Builder::new(Vec::new());
    plain.append_dir_all(".", &from).unwrap();
    let plain = plain.into_inner().unwrap();
    let told = fed(&stand, &["deploy", &name, "--from", "-"], &plain).await;
    assert!(told.status.success(), "{}", lossy(&told.stderr));
    let (before, files) = (wishes(&stand).await, kept(&stand));
    for (bad, says) in bad_archives() {
        refused(&fed(&stand, &["deploy", &name, "--from", "-"], &bad).await, says);
    }
    assert_eq!((wishes(&stand).await, kept(&stand)), (before, files), "nothing is touched");
    let usage = stand.ask(&["deploy", &name, "--from", "site"]).await;
    assert_eq!(usage.status.code(), Some(2), "{}", lossy(&usage.stderr));
    stand.end(&["web"]).await;
}

/// Archives that nobody may deploy, and what must be said of them.
fn bad_archives() -> Vec<(Vec<u8>, &'static [&'static str])> {
    let entry = |name: &str, kind: tar::EntryType, link: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        // As written: the library itself refuses to write such names.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o644);
        if let Some(link) = link {
            header.set_link_name_literal(link).unwrap();
        }
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, &b""[..]).unwrap();
        archive.into_inner().unwrap()
    };
    vec![
        (entry("../evil", tar::EntryType::Regular, None), &["../evil"]),
        (entry("/etc/evil", tar::EntryType::Regular, None), &["/etc/evil"]),
        (entry("out", tar::EntryType::Symlink, Some("/etc")), &["out"]),
        (entry("out", tar::EntryType::Link, Some("../../etc/passwd")), &["out"]),
        (entry("dev", tar::EntryType::Char, None), &["dev"]),
        (b"no archive at all".repeat(100), &["tar"]),
        (Vec::new(), &["empty"]),
    ]
}

#[tokio::test]
async fn a_stack_is_sent_with_what_it_reads() {
    let stand = Stand::begin().await;
    let image = docker::image().await;
    drop(image);
    let stack = |who: &str| {
        format!(
            "services:\n  web: {{ image: \"{}\", stop_grace_period: 1s, env_file: [web.env], environment: {{ STACK: {who} }} }}\n",
            stand.image
        )
    };
    let place = stand.folder().join("src/stack");
    write(&place, &[("compose.yml", &stack("place")), ("web.env", "WHO=place\n")]);
    let lines = format!(
        "compose = \"{}/compose.yml\"\n{SOON}\n[[workloads.web.routes]]\nhost = \"web.{}.test\"\nservice = \"web\"\nport = 8080",
        place.display(),
        stand.project
    );
    stand.apply("web", &lines).await;
    assert!(stand.get("/").await.ends_with("place"));
    let from = laptop(&stand, &[("compose.yml", &stack("laptop")), ("web.env", "WHO=laptop\n"), (".git/HEAD", "x")]);
    let name = format!("{}/web", stand.project);
    stand.must(&["deploy", &name, "--from", &path(&from)]).await;
    assert!(stand.get("/").await.ends_with("laptop"));
    stand.must(&["rollback", &name]).await;
    assert!(stand.get("/").await.ends_with("place"));
    stand.end(&["web"]).await;
}
