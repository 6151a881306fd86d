use std::os::unix::fs::symlink;

use super::*;

const OF: (&str, &str) = ("wl_1", "un_1");

struct Stand {
    folder: tempfile::TempDir,
    sites: Sites,
}

impl Stand {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        let sites = Sites::of(&folder.path().join("data")).with_limits(Limits { files: 300, bytes: 8 << 20 });
        let stand = Self { folder, sites };
        stand.write("index.html", "<h1>hi</h1>");
        stand
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("src")
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.source().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn make(&self, unit: &str) -> Result<Made, MakeError> {
        self.sites.make(("wl_1", unit), Source::Folder(&self.source()), &Settings::default())
    }

    fn refused(&self, wanted: &str) {
        let error = self.make("un_x").unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert_eq!(self.sites.list().unwrap(), [], "nothing is left");
    }
}

/// An archive of these entries; a link has its target as content.
fn packed(entries: &[(&str, EntryKind, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        if *kind == EntryKind::Regular {
            header.set_size(content.len().try_into().unwrap());
        } else if !content.is_empty() {
            header.set_link_name(str::from_utf8(content).unwrap()).unwrap();
        }
        // By hand: the builder refuses what must be refused here.
        let bytes = name.as_bytes();
        header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
        header.set_cksum();
        builder.append(&header, if *kind == EntryKind::Regular { *content } else { &[][..] }).unwrap();
    }
    builder.into_inner().unwrap()
}

use tar::EntryType as EntryKind;

#[test]
fn a_folder_becomes_a_release_and_is_served_from_it() {
    let stand = Stand::new();
    stand.write("a/b.css", "b{}");
    stand.write("pic.bin", vec![0xff; 3 << 20]);
    stand.write(".git/config", "secret");
    stand.write(".well-known/security.txt", "Contact: a@b.test");
    stand.write("_redirects", "/old /new\nnonsense\n");
    stand.write("_worker.js", "export {}");
    symlink("b.css", stand.source().join("a/c.css")).unwrap();
    symlink("a", stand.source().join("d")).unwrap();
    let made = stand.make("un_1").unwrap();
    assert_eq!((made.files, made.kept), (7, 0));
    assert_eq!(made.hidden, [".git", "_worker.js"]);
    assert_eq!(made.notes.len(), 1);
    let site = site::Site::open(&made.folder).unwrap();
    assert_eq!(site.digest(), made.digest);
    let names: Vec<_> = (0..site.len()).map(|n| site.file(n).unwrap().path.to_string()).collect();
    let wanted = [".well-known/security.txt", "a/b.css", "a/c.css", "d/b.css", "d/c.css", "index.html", "pic.bin"];
    assert_eq!(names, wanted);
    for n in 0..site.len() {
        let file = site.open_file(n).unwrap();
        let mut bytes = vec![0; site.file(n).unwrap().length.try_into().unwrap()];
        site::read_waiting(&file, 0, &mut bytes).unwrap();
        assert_eq!(site.file(n).unwrap().digest, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(&bytes)));
    }
    assert_eq!(stand.sites.digest(OF.0, OF.1).unwrap(), made.digest);
}

#[test]
fn what_did_not_change_is_linked_and_the_same_release_is_used_again() {
    let stand = Stand::new();
    stand.write("long.bin", vec![7; 2 << 20]);
    stand.write("a.txt", "a");
    let first = stand.make("un_1").unwrap();
    let again = stand.make("un_1").unwrap();
    assert_eq!((again.digest.as_str(), again.kept), (first.digest.as_str(), 3));
    stand.write("a.txt", "b");
    assert!(stand.make("un_1").unwrap_err().to_string().contains("another content"));
    let second = stand.make("un_2").unwrap();
    assert_eq!((second.files, second.kept), (3, 2));
    stand.sites.remove("wl_1", "un_1").unwrap();
    let site = site::Site::open(&second.folder).unwrap();
    assert!((0..site.len()).all(|n| site.open_file(n).is_ok()));
}

#[test]
fn a_source_that_cannot_be_a_site_is_refused_by_name() {
    let stand = Stand::new();
    fs::remove_file(stand.source().join("index.html")).unwrap();
    stand.refused("there is no index.html");
    stand.write("index.html", "x");
    stand.write("a/bad\nname", "x");
    stand.refused("a/bad\\nname: its name has a control character");
    fs::remove_dir_all(stand.source().join("a")).unwrap();
    for (to, wanted) in [
        ("/etc/hostname", "leads out"),
        ("../data", "leads out"),
        ("nothing", "a link to nothing"),
        ("out", "leads to itself"),
        (".", "leads to itself"),
    ] {
        symlink(to, stand.source().join("out")).unwrap();
        stand.refused(wanted);
        fs::remove_file(stand.source().join("out")).unwrap();
    }
    rustix::fs::mknodat(rustix::fs::CWD, stand.source().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    stand.refused("pipe: it is a pipe");
    fs::remove_file(stand.source().join("pipe")).unwrap();
    stand.write("_headers", "/admin\n  Basic-Auth: a:b\n");
    stand.refused("_headers:2: Basic-Auth");
    fs::remove_file(stand.source().join("_headers")).unwrap();
    stand.write("large", vec![0; (8 << 20) + 1]);
    stand.refused("more than 8388608 bytes");
    fs::remove_file(stand.source().join("large")).unwrap();
    for n in 0..300 {
        stand.write(&format!("f/{n}"), "x");
    }
    stand.refused("more than 300 files");
}

#[test]
fn settings_name_files_of_the_site() {
    let stand = Stand::new();
    let make = |settings: &Settings| stand.sites.make(OF, Source::Folder(&stand.source()), settings).map(|_| ());
    let plain = Settings::default();
    for bad in [
        Settings { index: "../index.html".into(), ..plain.clone() },
        Settings { index: "home.html".into(), ..plain.clone() },
        Settings { not_found: "missing.html".into(), ..plain.clone() },
        Settings { fallback: Some("app.html".into()), ..plain.clone() },
        Settings { fallback: Some("/index.html".into()), ..plain.clone() },
    ] {
        assert!(make(&bad).is_err(), "{bad:?}");
    }
    make(&Settings { fallback: Some("index.html".into()), ..plain }).unwrap();
}

#[test]
fn archives_are_unpacked_and_what_leads_out_of_them_is_refused() {
    let stand = Stand::new();
    let unpack = |unit: &str, bytes: &[u8]| {
        stand.sites.make(("wl_1", unit), Source::Archive(&mut &*bytes), &Settings::default())
    };
    let file = EntryKind::Regular;
    let long = format!("{}/x.html", "long".repeat(20));
    let good = [
        ("./", EntryKind::Directory, &b""[..]),
        ("./index.html", file, b"hi"),
        ("a/b.css", file, b"b{}"),
        (&long, file, b"x"),
        (".env", file, b"secret"),
    ];
    let plain = packed(&good);
    let first = unpack("un_1", &plain).unwrap();
    assert_eq!((first.files, first.hidden.len()), (3, 1));
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut zipped, &plain).unwrap();
    assert_eq!(unpack("un_2", &zipped.finish().unwrap()).unwrap().digest, first.digest);
    for (bad, wanted) in [
        (("../evil", file, &b"x"[..]), "leads out of the folder by .."),
        (("a/../../evil", file, b"x"), "leads out of the folder by .."),
        (("/etc/passwd", file, b"x"), "absolute"),
        (("link", EntryKind::Symlink, b"/etc/passwd"), "link"),
        (("hard", EntryKind::Link, b"index.html"), "link"),
        (("null", EntryKind::Char, b""), "device"),
        (("sda", EntryKind::Block, b""), "device"),
        (("pipe", EntryKind::Fifo, b""), "pipe"),
        (("index.html", file, b"twice"), "twice"),
        (("index.html/x", file, b"x"), "is a file too"),
        (("a", file, b"x"), "is a folder too"),
    ] {
        let entries = [good[1], good[2], bad];
        let error = unpack("un_3", &packed(&entries)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{:?}: {error}", bad.0);
    }
    for bad in [&b""[..], b"no archive at all, but rather a text", &zstd_head(), &plain[..700]] {
        assert!(unpack("un_3", bad).is_err());
    }
    assert_eq!(stand.sites.list().unwrap().len(), 2);
}

fn zstd_head() -> [u8; 8] {
    [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0]
}

#[test]
fn names_of_pax_and_of_gnu_archives_are_read() {
    let stand = Stand::new();
    let name = format!("{}/{}.html", "d".repeat(120), "n".repeat(120));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    builder.append_data(&mut header, &name, &b"1"[..]).unwrap();
    let pax = "20 path=p/paxed.html\n".replace("20", &"20 path=p/paxed.html\n".len().to_string());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(EntryKind::XHeader);
    header.set_size(pax.len().try_into().unwrap());
    header.set_cksum();
    builder.append(&header, pax.as_bytes()).unwrap();
    for name in ["short", "index.html"] {
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        builder.append_data(&mut header, name, &b"2"[..]).unwrap();
    }
    let bytes = builder.into_inner().unwrap();
    let made = stand.sites.make(OF, Source::Archive(&mut &*bytes), &Settings::default()).unwrap();
    let site = site::Site::open(&made.folder).unwrap();
    let names: Vec<_> = (0..site.len()).map(|n| site.file(n).unwrap().path.to_string()).collect();
    assert_eq!(names, [name.as_str(), "index.html", "p/paxed.html"]);
}

#[test]
fn removal_can_be_repeated_and_ends_what_was_left_half() {
    let stand = Stand::new();
    stand.make("un_1").unwrap();
    stand.make("un_2").unwrap();
    let home = stand.folder.path().join("data/sites/wl_1");
    fs::create_dir(home.join(".new-un_3")).unwrap();
    fs::create_dir(home.join(".gone-un_1")).unwrap();
    let found: Vec<_> = stand.sites.list().unwrap().into_iter().map(|found| (found.unit, found.state)).collect();
    let (whole, half) = (FoundState::Whole, FoundState::Half);
    let wanted = [("un_1", whole), ("un_1", half), ("un_2", whole), ("un_3", half)];
    assert_eq!(found, wanted.map(|(unit, state)| (unit.to_owned(), state)));
    for unit in ["un_1", "un_1", "un_3", "un_2", "un_2"] {
        stand.sites.remove("wl_1", unit).unwrap();
    }
    assert_eq!(stand.sites.list().unwrap(), []);
    assert!(!home.exists());
    assert!(stand.sites.remove("wl_1", "../../src").is_err());
    assert!(stand.source().exists());
}

#[test]
fn a_release_that_was_tampered_with_is_not_served() {
    let stand = Stand::new();
    let folder = stand.make("un_1").unwrap().folder;
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("\"index.html\",\"length\"", "\"../../x\",\"length\""),
        ("\"version\":1", "\"version\":2"),
        ("\"fallback\":null", "\"fallback\":\"index.html\""),
        ("}", ""),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        assert!(site::Site::open(&folder).is_err(), "{to}");
    }
    fs::write(&path, &text).unwrap();
    site::Site::open(&folder).unwrap();
    fs::write(folder.join("files/index.html"), "longer than it was").unwrap();
    assert!(site::Site::open(&folder).is_err());
    fs::remove_file(folder.join("files/index.html")).unwrap();
    symlink(stand.source().join("index.html"), folder.join("files/index.html")).unwrap();
    assert!(site::Site::open(&folder).is_err(), "links are not followed");
}
