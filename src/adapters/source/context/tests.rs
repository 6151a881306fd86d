//! Folders packed and archives unpacked, on a real file system.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt;
use proptest::prelude::*;
use tar::{Archive, Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn packing(scratch: &TempDir, file: &str) -> Packing {
    let limits = ContextLimits::default();
    Packing {
        file: Dockerfile::Of(file.to_owned()),
        scratch: scratch.path().to_owned(),
        limits,
        stop: Default::default(),
    }
}

fn packed(folder: &Path) -> Result<Context, ContextError> {
    let scratch = tempfile::tempdir().unwrap();
    let context = pack(folder, &packing(&scratch, "Dockerfile"));
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing stays behind");
    context
}

async fn names(context: &Context) -> Vec<String> {
    let bytes: Vec<_> = context.stream().try_collect().await.unwrap();
    let archive = bytes.concat();
    assert_eq!(archive.len() as u64, context.length());
    let mut archive = Archive::new(archive.as_slice());
    let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned());
    names.collect()
}

/// An archive as somebody might send it: name, kind, content or target.
fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        let link = matches!(kind, EntryType::Symlink | EntryType::Link);
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(if link { 0 } else { content.len() as u64 });
        // As it is, past what the library would refuse.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        if link {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_cksum();
        builder.append(&header, if link { &[][..] } else { content.as_bytes() }).unwrap();
    }
    builder.into_inner().unwrap()
}

fn unpacked(archive: &[u8]) -> Result<TempDir, ContextError> {
    let folder = tempfile::tempdir().unwrap();
    unpack(archive, folder.path(), ContextLimits { entries: 100, bytes: 1 << 20 })?;
    Ok(folder)
}

fn refusal(entries: &[(&str, EntryType, &str)]) -> String {
    unpacked(&archive(entries)).unwrap_err().to_string()
}

#[tokio::test]
async fn a_folder_is_packed_without_what_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("Dockerfile", "FROM scratch"),
            (".dockerignore", "*\n!src\n!a/deep/file\nsrc/*.tmp"),
            ("src/main.rs", "fn main() {}"),
            ("src/x.tmp", ""),
            ("a/deep/file", ""),
            ("a/deep/other", ""),
            ("node_modules/x/y", ""),
        ],
    );
    symlink("../node_modules", folder.path().join("src/link")).unwrap();
    let context = packed(folder.path()).unwrap();
    let expected = [".dockerignore", "Dockerfile", "a", "a/deep", "a/deep/file", "src", "src/link", "src/main.rs"]
        .map(str::to_owned);
    assert_eq!(names(&context).await, expected);
    assert_eq!((context.entries(), context.bytes()), (expected.len(), 53));
    let other = packed(folder.path()).unwrap();
    assert_eq!(context.digest(), other.digest());
}

#[tokio::test]
async fn the_patterns_beside_a_dockerfile_come_first() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            (".dockerignore", "docs"),
            ("docker/web", "FROM scratch"),
            ("docker/web.dockerignore", "*\n!docs"),
            ("docs/a", ""),
            ("b", ""),
        ],
    );
    let scratch = tempfile::tempdir().unwrap();
    let context = pack(folder.path(), &packing(&scratch, "./docker/web")).unwrap();
    assert_eq!(names(&context).await, ["docker", "docker/web", "docker/web.dockerignore", "docs", "docs/a"]);
    assert_eq!(context.dockerfile().text(), "docker/web");
}

#[test]
fn a_digest_is_about_content_alone() {
    let files = [("Dockerfile", "FROM scratch"), ("run.sh", "x"), ("empty/file", "")];
    let folders: Vec<TempDir> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    write(folders[0].path(), &files);
    let mut backward = files;
    backward.reverse();
    write(folders[1].path(), &backward);
    let old = fs::File::open(folders[1].path().join("run.sh")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000)).unwrap();
    let digest = |n: usize| packed(folders[n].path()).unwrap().digest();
    let first = digest(0);
    assert_eq!(first, digest(1));
    // For others than the owner, the bit means nothing in a build that runs as root.
    fs::set_permissions(folders[1].path().join("run.sh"), PermissionsExt::from_mode(0o611)).unwrap();
    assert_eq!(first, digest(1));
    fs::set_permissions(folders[1].path().join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_ne!(first, digest(1));
    fs::write(folders[0].path().join("run.sh"), "y").unwrap();
    assert_ne!(first, digest(0));
}

#[test]
fn what_cannot_be_a_context_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let refusal = |file: &str| pack(folder.path(), &packing(&scratch, file)).unwrap_err().to_string();
    assert!(refusal("Dockerfile").contains("there is no Dockerfile in the context"));
    write(folder.path(), &[("Dockerfile", "FROM scratch"), ("a/b", "12345")]);
    assert!(refusal("a").contains("there is no a in the context"));
    assert!(refusal("../Dockerfile").contains("there is no ../Dockerfile in the context"));
    assert!(refusal("/etc/passwd").contains("there is no /etc/passwd in the context"));
    symlink("Dockerfile", folder.path().join("link")).unwrap();
    assert!(refusal("link").contains("there is no link"));
    let mut small = packing(&scratch, "Dockerfile");
    small.limits.bytes = 16;
    assert!(pack(folder.path(), &small).unwrap_err().to_string().contains("more than 16 bytes"));
    small.limits = ContextLimits { entries: 3, bytes: 100 };
    assert!(pack(folder.path(), &small).unwrap_err().to_string().contains("more than 3 files"));
    let stopped = packing(&scratch, "Dockerfile");
    stopped.stop.cancel();
    assert!(pack(folder.path(), &stopped).unwrap_err().to_string().contains("packing was ended"));
    let pipe =
        rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0);
    pipe.unwrap();
    assert!(refusal("Dockerfile").contains("pipe: it is neither"));
    fs::write(folder.path().join(".dockerignore"), "a\n[").unwrap();
    assert!(refusal("Dockerfile").contains(".dockerignore: line 2"));
    let none = pack(&folder.path().join("none"), &small).unwrap_err();
    assert!(none.to_string().contains("there is no folder"));
}

#[test]
fn an_archive_becomes_a_folder() {
    let plain = archive(&[
        ("./", EntryType::Directory, ""),
        ("link", EntryType::Symlink, "a/b"),
        ("a/b", EntryType::Regular, "first"),
        ("a/b", EntryType::Regular, "second"),
        ("a/c", EntryType::Link, "a/b"),
        ("empty", EntryType::Directory, ""),
    ]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&plain).unwrap();
    for bytes in [plain, gzip.finish().unwrap()] {
        let folder = unpacked(&bytes).unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(fs::read_to_string(at("link")).unwrap(), "second");
        assert_eq!(fs::read_to_string(at("a/c")).unwrap(), "second");
        assert!(at("empty").is_dir());
        assert_eq!(fs::metadata(at("a/b")).unwrap().permissions().mode() & 0o100, 0o100);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}

#[test]
fn an_archive_that_would_lead_out_is_refused() {
    use EntryType as E;
    for (entries, why) in [
        (&[("../a", E::Regular, "x")][..], "leads out of the folder by"),
        (&[("a/../../b", E::Regular, "x")], "leads out of the folder by"),
        (&[("/etc/x", E::Regular, "x")], "absolute"),
        (&[("a", E::Symlink, "/etc")], "a link that leads out"),
        (&[("a", E::Symlink, "../b")], "a link that leads out"),
        (&[("a", E::Link, "../b")], "leads out"),
        (&[("a", E::Link, "/etc/passwd")], "absolute"),
        (&[("a", E::Link, "b")], "a second name of what comes later"),
        // Up from where another link ends, which is the folder itself.
        (&[("f/d/x", E::Symlink, "../.."), ("f/g/y", E::Symlink, "../d/x/..")], "a link that leads out"),
        (&[("a", E::Char, "")], "neither file, folder nor link"),
        (&[("a", E::Block, "")], "neither file, folder nor link"),
        (&[("a", E::Fifo, "")], "neither file, folder nor link"),
        // Through a link of its own, in both orders.
        (&[("a", E::Symlink, "b"), ("a/x", E::Regular, "")], "contradicts itself"),
        (&[("a/x", E::Regular, ""), ("a", E::Symlink, "b")], "contradicts itself"),
        (&[("d", E::Symlink, "e"), ("d/l", E::Symlink, "x")], "contradicts itself"),
        (&[("a", E::Regular, ""), ("a/b", E::Regular, "")], "contradicts itself"),
        (&[("a/b", E::Regular, ""), ("a", E::Regular, "")], "contradicts itself"),
    ] {
        let said = refusal(entries);
        assert!(said.contains(why), "{entries:?}: {said}");
    }
}

#[test]
fn an_archive_is_bounded_and_whole() {
    let large = "x".repeat(1 << 19);
    let three: Vec<_> = ["a", "b", "c"].map(|name| (name, EntryType::Regular, large.as_str())).to_vec();
    assert!(refusal(&three).contains("more than 1048576 bytes"));
    let names: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), EntryType::Directory, "")).collect();
    assert!(refusal(&many).contains("more than 100 files"));
    let whole = archive(&[("a", EntryType::Regular, &large)]);
    for cut in [&whole[..600], &whole[..100], b"not an archive at all", b""] {
        assert!(matches!(unpacked(cut), Err(ContextError::Archive(_))), "{} bytes", cut.len());
    }
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    std::io::copy(&mut std::io::repeat(0).take(4 << 20), &mut bomb).unwrap();
    assert!(unpacked(&bomb.finish().unwrap()).is_err());
    let name = "n".repeat(1 << 17);
    assert!(refusal(&[("././@LongLink", EntryType::GNULongName, &name)]).contains("for one name"));
}

/// Names and targets that may lead anywhere.
fn anywhere() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just("a"), Just("b"), Just(".."), Just("."), Just("c")];
    (any::<bool>(), proptest::collection::vec(part, 1..5))
        .prop_map(|(rooted, parts)| format!("{}{}", if rooted { "/" } else { "" }, parts.join("/")))
}

fn entries() -> impl Strategy<Value = Vec<(String, EntryType, String)>> {
    let kind = prop_oneof![
        Just(EntryType::Regular),
        Just(EntryType::Directory),
        Just(EntryType::Symlink),
        Just(EntryType::Symlink),
        Just(EntryType::Link),
    ];
    // Most names stay inside, so that something is left to be tried.
    let name = prop_oneof![3 => "[abc](/[abc]){0,3}", 1 => anywhere()];
    let target = prop_oneof![1 => "(\\.\\./){0,3}[abc](/[abc.]{1,2}){0,2}", 1 => anywhere()];
    proptest::collection::vec((name, kind, target), 1..8)
}

/// Every link below a folder, by its path.
fn links(folder: &Path) -> Vec<std::path::PathBuf> {
    let below = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let each = |entry: fs::DirEntry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => links(&entry.path()),
        kind if kind.is_symlink() => vec![entry.path()],
        _ => Vec::new(),
    };
    below.flat_map(each).collect()
}

proptest! {
    /// Whatever an archive holds: nothing is written outside of the folder, and no link in it leads there.
    #[test]
    fn nothing_gets_out(entries in entries()) {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().canonicalize().unwrap().join("x/y/inner");
        fs::create_dir_all(&folder).unwrap();
        let entries: Vec<_> = entries.iter().map(|(name, kind, target)| (name.as_str(), *kind, target.as_str())).collect();
        // Something to be led to, on every level outside.
        let outside: Vec<_> = ["", "x", "x/y"].map(|above| outer.path().join(above)).to_vec();
        for folder in outside.iter().flat_map(|above| ["a", "b", "c"].map(|name| above.join(name))) {
            fs::create_dir(folder).unwrap();
        }
        let done = unpack(archive(&entries).as_slice(), &folder, ContextLimits::default());
        for above in &outside {
            prop_assert_eq!(fs::read_dir(above).unwrap().count(), 4);
        }
        for name in outside.iter().flat_map(|above| ["a", "b", "c"].map(|name| above.join(name))) {
            prop_assert_eq!(fs::read_dir(name).unwrap().count(), 0);
        }
        for link in links(&folder) {
            let end = link.canonicalize();
            prop_assert!(end.as_ref().is_ok_and(|end| end.starts_with(&folder)) || end.is_err(), "{:?} {:?}", link, end);
        }
        prop_assert!(done.is_err() || entries.iter().all(|(name, ..)| !name.starts_with('/')));
    }
}

/// What is packed, sent and unpacked is the same context again.
#[tokio::test]
async fn a_context_survives_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    write(folder.path(), &[("Dockerfile", "FROM scratch"), (&long, "long"), ("ä ö/☺", "x"), ("z/bin", "#!")]);
    fs::set_permissions(folder.path().join("z/bin"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("../z/bin", folder.path().join("z/link")).unwrap();
    symlink("x".repeat(150), folder.path().join("long-link")).unwrap();
    let context = packed(folder.path()).unwrap();
    let bytes: Vec<_> = context.stream().try_collect().await.unwrap();
    let other = tempfile::tempdir().unwrap();
    unpack(bytes.concat().as_slice(), other.path(), ContextLimits::default()).unwrap();
    assert_eq!(packed(other.path()).unwrap().digest(), context.digest());
    let content: BTreeMap<_, _> = names(&context).await.into_iter().map(|name| (name, ())).collect();
    assert_eq!(content.len(), context.entries());
}
