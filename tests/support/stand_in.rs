//! What a test machine cannot have, and what stands in for it: other people's images, repositories of forges, ports of the
//! host. Everything else of a workload file stays as it was written.

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use cutover_events::Digest;
use parking_lot::Mutex;
use toml_edit::{DocumentMut, InlineTable, Item, TableLike, Value, value};

use crate::docker;
use crate::git_support::{Repository, Served, http};

/// Where the repositories of the files lie, as they are written.
const FORGE: &str = "https://github.com/";
/// Where each source says what it is made of, in its table.
const SOURCES: [(&str, &str); 4] =
    [("image", "ref"), ("dockerfile", "context"), ("static", "path"), ("compose", "file")];
/// A workload is judged for as long as a test can wait.
const POLICY: [(&str, &str); 4] =
    [("liveness", "200ms"), ("drain", "100ms"), ("bake", "100ms"), ("stop_timeout", "100ms")];

/// Our image under the names of others, and our repositories at the addresses of others. The names are gone with this.
pub(crate) struct StandIns {
    /// What the names begin with.
    prefix: String,
    /// The image that all of them are.
    image: String,
    names: Mutex<BTreeSet<String>>,
    folder: PathBuf,
    served: Served,
    /// Ports of the host that were given out, in the order of what asked.
    ports: Mutex<BTreeSet<u16>>,
}

/// A repository that a workload is made of.
pub(crate) struct Place {
    /// `acme/shop`.
    pub(crate) repository: String,
    /// The folder in it.
    pub(crate) folder: String,
}

impl StandIns {
    /// With names that begin with `prefix`, and repositories in a folder of this name in `beside`.
    pub(crate) async fn begin(prefix: &str, beside: &Path) -> Self {
        let folder = beside.join("forge");
        std::fs::create_dir(&folder).unwrap();
        let (served, image) = (http(&folder, None).await, anything().await);
        let (names, ports) = (Mutex::default(), Mutex::default());
        Self { prefix: prefix.to_owned(), image, names, folder, served, ports }
    }

    /// The name of our image in place of this one. What waits for a commit gets the image by [`Self::publish`].
    pub(crate) fn image(&self, reference: &str) -> String {
        let (name, tag) = match reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (reference, "latest"),
        };
        let name = format!("cutover-test/{}-{}:{tag}", self.prefix, name.replace([':', '/', '@'], "-"));
        if !name.contains('{') {
            self.tag(&name);
        }
        name
    }

    /// The image of a commit.
    pub(crate) fn publish(&self, reference: &str, sha: &str) {
        self.tag(&reference.replace("{sha}", sha));
    }

    fn tag(&self, name: &str) {
        if self.names.lock().insert(name.to_owned()) {
            let done = Command::new("docker").args(["tag", &self.image, name]).status().unwrap();
            assert!(done.success(), "{name}");
        }
    }

    /// A compose file or a Dockerfile, with our images.
    pub(crate) fn text(&self, text: &str) -> String {
        let line = |line: &str| {
            let known = ["image: ", "FROM "].iter().find_map(|word| Some((*word, line.trim().strip_prefix(word)?)));
            let Some((word, rest)) = known else { return line.to_owned() };
            let (reference, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
            let begin = line.len() - line.trim_start().len();
            format!("{}{word}{}{after}", &line[..begin], self.image(reference.trim_matches('"')))
        };
        text.lines().map(|text| line(text) + "\n").collect()
    }

    /// A repository of ours at the place of one of a forge, with a commit of these files.
    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)]) -> String {
        let (owner, name) = name.split_once('/').unwrap();
        let root = self.folder.join(owner);
        std::fs::create_dir_all(&root).unwrap();
        let repository = match root.join(name).is_dir() {
            true => Repository::of(&root, name),
            false => Repository::new(&root, name),
        };
        repository.commit(files)
    }

    /// A workload file with what stands in. Gives the places in git that it names, each with the kind of its source.
    pub(crate) fn file(&self, document: &mut DocumentMut, project: &str) -> Vec<(&'static str, Place)> {
        document.insert("project", value(project));
        let mut places = Vec::new();
        for (_, workload) in workloads(document) {
            places.extend(SOURCES.iter().filter_map(|source| self.source(workload, source)));
            let build =
                workload.get_mut("static").and_then(Item::as_table_like_mut).and_then(|site| site.get_mut("build"));
            if let Some(image) = build.and_then(Item::as_table_like_mut).and_then(|build| build.get_mut("image")) {
                *image = value(self.image(image.as_str().unwrap_or_default()));
            }
            self.host_ports(workload);
            soon(workload);
        }
        places
    }

    /// The image, or the place in git, of a source of this kind.
    fn source(
        &self,
        workload: &mut dyn TableLike,
        (kind, key): &(&'static str, &str),
    ) -> Option<(&'static str, Place)> {
        let item = place(workload, kind, key)?;
        let text = item.as_str().unwrap_or_default().to_owned();
        if *kind == "image" {
            *item = value(self.image(&text));
            return None;
        }
        let rest = text.strip_prefix(FORGE)?;
        *item = value(format!("http://{}/{rest}", self.served.address));
        Some((kind, Place::of(rest)))
    }

    /// Ports of the host that are free, on loopback.
    fn host_ports(&self, workload: &mut dyn TableLike) {
        let Some(ports) = workload.get_mut("ports").and_then(Item::as_array_mut) else { return };
        for port in ports.iter_mut() {
            let text = port.as_str().expect("a port as a text");
            let (rest, transport) = text.split_once('/').unwrap_or((text, "tcp"));
            let inside = rest.rsplit(':').next().expect("a port");
            *port = Value::from(format!("127.0.0.1:{}:{inside}/{transport}", self.free_port()));
        }
    }

    fn free_port(&self) -> u16 {
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = tcp.local_addr().unwrap().port();
            if UdpSocket::bind(("127.0.0.1", port)).is_ok() && self.ports.lock().insert(port) {
                return port;
            }
        }
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        let names = std::mem::take(&mut *self.names.lock());
        // One that an image of an engine was made of stays for as long as that.
        drop(Command::new("docker").arg("rmi").args(names).output());
    }
}

impl Place {
    fn of(rest: &str) -> Self {
        let (repository, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let folder = fragment.split_once(':').map_or("", |(_, folder)| folder);
        Self { repository: repository.trim_end_matches(".git").to_owned(), folder: folder.to_owned() }
    }

    /// The path of a file of this place in its repository.
    pub(crate) fn at(&self, file: &str) -> String {
        if self.folder.is_empty() { file.to_owned() } else { format!("{}/{file}", self.folder) }
    }
}

/// The workloads of a file.
pub(crate) fn workloads(document: &mut DocumentMut) -> Vec<(String, &mut dyn TableLike)> {
    let all = document.get_mut("workloads").and_then(Item::as_table_like_mut).expect("workloads");
    all.iter_mut().map(|(name, item)| (name.get().to_owned(), item.as_table_like_mut().expect("a workload"))).collect()
}

/// Where the source of a workload is named, in the short form or in the table.
fn place<'a>(workload: &'a mut dyn TableLike, kind: &str, key: &str) -> Option<&'a mut Item> {
    let item = workload.get_mut(kind)?;
    if item.is_str() { Some(item) } else { item.as_table_like_mut()?.get_mut(key) }
}

/// Short times, but for what the file says itself: a program without a handler is given none to end.
fn soon(workload: &mut dyn TableLike) {
    let policy = workload.entry("policy").or_insert(Item::Value(Value::InlineTable(InlineTable::new())));
    let policy = policy.as_table_like_mut().expect("a policy");
    for (key, time) in POLICY {
        if key == "stop_timeout" || !policy.contains_key(key) {
            policy.insert(key, value(time));
        }
    }
}

/// Our image, made once per version of its source; gives the local id.
async fn anything() -> String {
    let docker = docker::client().await;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/anything.rs");
    let text = std::fs::read(&source).expect("the source of the program");
    let reference = format!("cutover-test/anything:1-{}", &Digest::of(&text).to_string()[..12]);
    // Tests are processes: one of them builds, the others wait.
    let lock = std::fs::File::create(docker::tmp("anything.lock")).expect("a lock file");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("the lock");
    if docker.inspect_image(&reference).await.is_err() {
        let program = docker::build(&source);
        let tar = docker::tmp("anything.tar");
        // Under a name that nobody mounts a folder below.
        std::fs::write(&tar, docker::tar_of_all(&[("anything", &program), ("bin/sh", &program)])).expect("an archive");
        let import = ["import", "--change", "ENTRYPOINT [\"/anything\"]", &tar.to_string_lossy(), &reference];
        let made = Command::new("docker").args(import).output().expect("docker runs");
        assert!(made.status.success(), "{made:?}");
    }
    docker.inspect_image(&reference).await.expect("the image").id.expect("an id")
}
