//! Bad input of the four sources, through the whole program on real Docker: one line, exit code 15, and nothing is touched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::git_support::{Repository, Served, http};
use crate::stand::{Stand, labelled, lossy};

/// Refused content.
const REFUSED: i32 = 15;
/// Longest line of a refusal, characters.
const LONGEST: usize = 600;
/// A stack that is right, with a port of the host and a name of its own.
const STACK: &str = "services:\n  web:\n    image: IMAGE\n    container_name: NAME\n    ports: [\"127.0.0.1:PORT:8080\"]\n    stop_grace_period: 1s\n";

/// An engine with files that nobody can deploy, a repository that it may ask, and one stack that runs.
struct Bad {
    stand: Stand,
    served: Served,
    port: u16,
}

/// What would have changed if an input had had an effect.
#[derive(PartialEq, Debug)]
struct Trace {
    events: usize,
    containers: usize,
    files: BTreeSet<PathBuf>,
}

impl Bad {
    async fn begin() -> Self {
        let stand = Stand::begin_with("git = \"plain\"").await;
        let forge = stand.folder().join("forge");
        std::fs::create_dir(&forge).unwrap();
        Repository::new(&forge, "shop").commit(&[("readme", "nothing to build")]);
        let served = http(&forge, None).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let bad = Self { stand, served, port };
        bad.write_files();
        let stack = bad.filled(STACK);
        bad.write("holder.yml", &stack);
        let policy = "policy = { liveness = \"100ms\", stop_timeout = \"1s\" }";
        bad.stand.apply("holder", &format!("compose = \"{}\"\n{policy}", bad.path("holder.yml"))).await;
        bad
    }

    fn path(&self, name: &str) -> String {
        self.stand.folder().join("src").join(name).display().to_string()
    }

    fn write(&self, name: &str, content: &str) {
        let path = PathBuf::from(self.path(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A text with what only this stand knows.
    fn filled(&self, text: &str) -> String {
        let git = format!("http://{}", self.served.address);
        text.replace("IMAGE", &self.stand.image)
            .replace("NAME", &format!("{}-holder", self.stand.project))
            .replace("PORT", &self.port.to_string())
            .replace("SRC", &self.path(""))
            .replace("GIT", &git)
    }

    fn write_files(&self) {
        self.write("empty/readme", "no Dockerfile here, and no page");
        std::fs::create_dir(self.path("linked")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", self.path("linked/Dockerfile")).unwrap();
        for (name, entry, kind) in ARCHIVES {
            std::fs::write(self.path(name), archive(entry, *kind)).unwrap();
        }
        std::fs::write(self.path("none.tar"), b"this is no archive").unwrap();
        for (name, text) in STACKS {
            self.write(name, &self.filled(text));
        }
    }

    async fn trace(&self) -> Trace {
        let mut files = BTreeSet::new();
        let data = self.stand.folder().join("data");
        for below in ["compose", "sites", "builds", "sources", "git", "secrets", "output"] {
            found(&data.join(below), &mut files);
        }
        let containers = labelled(self.stand.log).await.len();
        Trace { events: self.stand.events().await.len(), containers, files }
    }

    /// What is wrong about how the engine refuses these lines of a workload.
    async fn wrong(&self, command: &str, lines: &str, says: &[&str]) -> Option<String> {
        let text = format!("project = \"{}\"\n[workloads.bad]\n{}\n", self.stand.project, self.filled(lines));
        self.write("bad.toml", &text);
        let said = self.stand.ask(&[command, &self.path("bad.toml")]).await;
        let err = lossy(&said.stderr);
        let line = err.trim_end();
        let mut wrong = Vec::new();
        if said.status.code() != Some(REFUSED) {
            wrong.push(format!("exit code {:?}", said.status.code()));
        }
        if line.lines().count() != 1 || line.chars().count() > LONGEST || !said.stdout.is_empty() {
            wrong.push(format!("not one line: {}", lossy(&said.stdout)));
        }
        let lower = line.to_lowercase();
        wrong.extend(says.iter().map(|word| self.filled(word)).filter(|word| !lower.contains(&word.to_lowercase())));
        (!wrong.is_empty()).then(|| format!("{command} of {lines:?}: {wrong:?}: {line}"))
    }
}

/// Every path below a folder.
fn found(folder: &Path, all: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        all.insert(entry.path());
        if entry.path().is_dir() {
            found(&entry.path(), all);
        }
    }
}

/// An archive with one entry, and what it must not have in it.
const ARCHIVES: &[(&str, &str, tar::EntryType)] = &[
    ("up.tar", "../Dockerfile", tar::EntryType::Regular),
    ("absolute.tar", "/etc/Dockerfile", tar::EntryType::Regular),
    ("link.tar", "Dockerfile", tar::EntryType::Symlink),
    ("device.tar", "null", tar::EntryType::Char),
    ("pipe.tar", "pipe", tar::EntryType::Fifo),
];

fn archive(name: &str, kind: tar::EntryType) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o644);
    if kind == tar::EntryType::Symlink {
        header.set_link_name_literal("../../etc/passwd").unwrap();
    }
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, std::io::empty()).unwrap();
    tar.into_inner().unwrap()
}

/// Files of stacks.
const STACKS: &[(&str, &str)] = &[
    ("not-yaml.yml", "services:\n  web:\n   image: a\n    ports: [80]\n"),
    ("no-services.yml", "volumes: { data: {} }\n"),
    ("bomb.yml", BOMB),
    ("key.yml", "services: { web: { image: a, prots: [\"80:80\"] } }\n"),
    ("volume.yml", "services: { web: { image: a, volumes: [\"data:/data\"] } }\n"),
    ("network.yml", "services: { web: { image: a, networks: [back] } }\n"),
    ("circle.yml", "services: { a: { image: a, depends_on: [b] }, b: { image: b, depends_on: [a] } }\n"),
    ("unset-port.yml", "services: { web: { image: a, ports: [\"${WEB_PORT}:80\"] } }\n"),
    ("unset-volume.yml", "services: { web: { image: a, volumes: [\"${DATA_AT}:/data\"] } }\n"),
    ("unset-image.yml", "services: { web: { image: \"a:${TAG_OF}\" } }\n"),
    ("image.yml", "services: { web: { image: \"https://hub.example/a\" } }\n"),
    ("held-name.yml", "services: { web: { image: IMAGE, container_name: NAME } }\n"),
    ("held-port.yml", "services: { web: { image: IMAGE, ports: [\"127.0.0.1:PORT:80\"] } }\n"),
];
/// Ten times ten times ten times …
const BOMB: &str = "x-a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\nx-b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nx-c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nx-d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\nx-e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nx-f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\nx-g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]\nx-h: [*g, *g, *g, *g, *g, *g, *g, *g, *g, *g]\nservices: { web: { image: a } }\n";

/// What the engine alone can tell: lines of a workload, and what the refusal must say.
const BY_THE_ENGINE: &[(&str, &[&str])] = &[
    ("dockerfile = \"SRC/empty\"", &["Dockerfile"]),
    ("dockerfile = { context = \"SRC/empty\", file = \"deploy/Other\" }", &["deploy/Other"]),
    ("dockerfile = \"SRC/nowhere\"", &["nowhere"]),
    ("dockerfile = \"SRC/linked\"", &["Dockerfile"]),
    ("dockerfile = \"/etc\"", &["[limits] sources"]),
    ("dockerfile = \"GIT/shop.git#nowhere\"", &["nowhere", "GIT/shop.git"]),
    ("dockerfile = \"http://127.0.0.1:1/shop.git\"", &["127.0.0.1:1", "cannot be reached"]),
    ("dockerfile = \"GIT/other.git\"", &["GIT/other.git", "does not exist"]),
    ("dockerfile = \"SRC/none.tar\"", &["archive"]),
    ("dockerfile = \"SRC/up.tar\"", &["../Dockerfile"]),
    ("dockerfile = \"SRC/absolute.tar\"", &["/etc/Dockerfile"]),
    ("dockerfile = \"SRC/link.tar\"", &["Dockerfile", "link"]),
    ("dockerfile = \"SRC/device.tar\"", &["null"]),
    ("dockerfile = \"SRC/pipe.tar\"", &["pipe"]),
    ("dockerfile = { context = \"GIT/shop.git\", secrets = [\"nobody\"] }", &["nobody", "secret"]),
    ("static = \"SRC/empty\"", &["index.html"]),
    ("static = { path = \"SRC/empty\", index = \"start.html\" }", &["start.html"]),
    ("static = \"SRC/nowhere\"", &["nowhere"]),
    ("static = \"GIT/shop.git#nowhere\"", &["nowhere"]),
    ("static = \"http://127.0.0.1:1/shop.git\"", &["127.0.0.1:1"]),
    ("static = \"SRC/up.tar\"", &["../Dockerfile"]),
    ("static = \"SRC/link.tar\"", &["link"]),
    ("static = \"SRC/device.tar\"", &["null"]),
    ("compose = \"GIT/shop.git#nowhere:compose.yml\"", &["nowhere"]),
    ("compose = \"http://127.0.0.1:1/shop.git#main:compose.yml\"", &["127.0.0.1:1"]),
    ("compose = \"SRC/held-name.yml\"", &["NAME", "holder"]),
    ("compose = \"SRC/held-port.yml\"", &["PORT", "holder"]),
    ("compose = \"SRC/holder.yml\"\nenv = { A = \"${secret:nobody}\" }", &["nobody", "secret"]),
    ("image = \"IMAGE\"\nenv = { A = \"${secret:nobody}\" }", &["nobody", "secret"]),
    ("image = \"IMAGE\"\nsecrets = [\"nobody\"]", &["nobody", "secret"]),
];

/// What needs no engine: `check` refuses it too.
const BY_THE_FILE: &[(&str, &[&str])] = &[
    ("dockerfile = { context = \"SRC/empty\", file = \"../Dockerfile\" }", &["leads out"]),
    ("dockerfile = { context = \"GIT/shop.git#main:../x\" }", &["leads out"]),
    ("compose = \"SRC/not-yaml.yml\"", &["YAML"]),
    ("compose = \"SRC/no-services.yml\"", &["services"]),
    ("compose = \"SRC/bomb.yml\"", &["aliases"]),
    ("compose = \"SRC/key.yml\"", &["prots", "ports"]),
    ("compose = \"SRC/volume.yml\"", &["data", "volumes"]),
    ("compose = \"SRC/network.yml\"", &["back", "networks"]),
    ("compose = \"SRC/circle.yml\"", &["circle"]),
    ("compose = \"SRC/unset-port.yml\"", &["WEB_PORT", "port"]),
    ("compose = \"SRC/unset-volume.yml\"", &["DATA_AT", "volume"]),
    ("compose = \"SRC/unset-image.yml\"", &["TAG_OF", "image"]),
    ("compose = \"SRC/image.yml\"", &["image reference"]),
    ("image = \"a b\"", &["image reference"]),
    ("image = \"UPPER/case:1\"", &["image reference"]),
];

#[tokio::test]
async fn what_cannot_be_deployed_is_refused_in_one_line_before_anything_is_touched() {
    let bad = Bad::begin().await;
    let mut before = bad.trace().await;
    let mut wrong = Vec::new();
    for (lines, says) in BY_THE_FILE {
        wrong.extend(bad.wrong("check", lines, says).await);
    }
    let both = BY_THE_FILE.iter().chain(BY_THE_ENGINE).flat_map(|case| [("plan", case), ("apply", case)]);
    for (command, (lines, says)) in both {
        wrong.extend(bad.wrong(command, lines, says).await);
        let after = bad.trace().await;
        if after != before {
            let files: Vec<_> = after.files.symmetric_difference(&before.files).collect();
            let events = after.events - before.events;
            wrong.push(format!("{command} of {lines:?} had an effect: {events} events, {files:?}"));
            before = after;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    bad.stand.must(&["teardown", &format!("{}/holder", bad.stand.project), "--yes"]).await;
    bad.stand.end(&[]).await;
}
