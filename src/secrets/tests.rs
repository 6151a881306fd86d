use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use age::secrecy::ExposeSecret;

use super::*;

const ONE: Owner<'_> = Owner::Workload(WorkloadId([1; 16]));
const OTHER: Owner<'_> = Owner::Workload(WorkloadId([2; 16]));

fn secrets(dir: &Path) -> Secrets {
    let files = SecretFiles::below(dir.join("given"), Where::Anywhere);
    Secrets::open(dir.join("secrets"), Blobs::open(dir.join("blobs")).unwrap(), files).unwrap()
}

#[test]
fn a_value_is_read_by_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let sealed = secrets.seal(ONE, b"correct horse").unwrap();
    assert_eq!(*secrets.unseal(ONE, sealed).unwrap(), "correct horse");
    assert!(matches!(secrets.unseal(OTHER, sealed), Err(SecretsError::NoIdentity)));
    secrets.seal(OTHER, b"another").unwrap();
    assert!(matches!(secrets.unseal(OTHER, sealed), Err(SecretsError::Damaged)));
    assert_eq!(*self::secrets(dir.path()).unseal(ONE, sealed).unwrap(), "correct horse", "after a restart too");
}

#[test]
fn no_value_lies_anywhere_in_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    secrets.seal(ONE, b"correct horse").unwrap();
    secrets.mac(ONE, b"correct horse").unwrap();
    for folder in ["secrets", "blobs"] {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join(folder)), 0o700);
        for entry in fs::read_dir(dir.path().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            assert!(!fs::read(&path).unwrap().windows(7).any(|bytes| bytes == b"correct"));
        }
    }
}

#[test]
fn equal_values_of_one_owner_are_seen_and_of_two_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let mac = |owner, value: &str| secrets.mac(owner, value.as_bytes()).unwrap();
    assert_eq!(mac(ONE, "same"), mac(ONE, "same"));
    assert_ne!(mac(ONE, "same"), mac(ONE, "else"));
    assert_ne!(mac(ONE, "same"), mac(OTHER, "same"));
    assert_ne!(
        secrets.seal(ONE, b"same").unwrap(),
        secrets.seal(ONE, b"same").unwrap(),
        "the sealed form tells nothing"
    );
}

#[test]
fn a_destroyed_identity_takes_its_values_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let (sealed, kept) = (secrets.seal(ONE, b"gone").unwrap(), secrets.seal(OTHER, b"kept").unwrap());
    secrets.destroy(ONE).unwrap();
    secrets.destroy(ONE).unwrap();
    assert!(matches!(secrets.unseal(ONE, sealed), Err(SecretsError::NoIdentity)));
    secrets.seal(ONE, b"new").unwrap();
    assert!(matches!(secrets.unseal(ONE, sealed), Err(SecretsError::Damaged)), "a new identity reads nothing old");
    assert_eq!(*secrets.unseal(OTHER, kept).unwrap(), "kept");
}

#[test]
fn a_damaged_blob_is_refused_without_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let sealed = secrets.seal(ONE, b"correct horse").unwrap();
    let path = dir.path().join("blobs").join(sealed.to_string());
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let refused = secrets.unseal(ONE, sealed).unwrap_err();
    assert!(!refused.to_string().contains("horse"));
}

#[test]
fn one_identity_is_made_by_many_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let sealed: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| secrets.seal(ONE, b"shared").unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(sealed.into_iter().all(|digest| *secrets.unseal(ONE, digest).unwrap() == "shared"));
}

#[test]
fn a_renewal_changes_the_identity_and_no_hash() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let (old, mac) = (secrets.seal(ONE, b"correct horse").unwrap(), secrets.mac(ONE, b"correct horse").unwrap());
    secrets.begin_renewal(ONE).unwrap();
    let begun = fs::read(secrets.path(ONE)).unwrap();
    secrets.begin_renewal(ONE).unwrap();
    assert_eq!(fs::read(secrets.path(ONE)).unwrap(), begun, "one that was begun goes on");
    let restarted = self::secrets(dir.path());
    assert_eq!(*restarted.unseal(ONE, old).unwrap(), "correct horse", "both read while it goes on");
    let new = restarted.reseal(ONE, old).unwrap();
    assert!(matches!(restarted.finish_renewal(ONE, &[new, old]), Err(SecretsError::StillOld)));
    assert_eq!(*restarted.unseal(ONE, old).unwrap(), "correct horse", "nothing was dropped");
    restarted.finish_renewal(ONE, &[new]).unwrap();
    assert!(matches!(restarted.unseal(ONE, old), Err(SecretsError::Damaged)));
    assert_eq!(*restarted.unseal(ONE, new).unwrap(), "correct horse");
    assert_eq!(restarted.mac(ONE, b"correct horse").unwrap(), mac);
    assert!(matches!(restarted.begin_renewal(OTHER), Err(SecretsError::NoIdentity)));
}

#[test]
fn a_file_of_one_line_hashes_as_it_always_did() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let identity = Identity::generate().to_string();
    files::replace_durably(&secrets.path(ONE), identity.expose_secret().as_bytes()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(identity.expose_secret().as_bytes()).unwrap();
    mac.update(b"cutover value\0same");
    let expected = &mac.finalize().into_bytes()[..16];
    assert_eq!(secrets.mac(ONE, b"same").unwrap(), expected);
    secrets.begin_renewal(ONE).unwrap();
    assert_eq!(secrets.mac(ONE, b"same").unwrap(), expected);
}

#[test]
fn a_project_has_values_of_its_own_of_any_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = secrets(dir.path());
    let (shop, blog) = (Owner::Project("shop"), Owner::Project("blog"));
    let sealed = secrets.seal(shop, b"\xff\0raw").unwrap();
    secrets.seal(blog, b"x").unwrap();
    assert_eq!(*secrets.unseal_bytes(shop, sealed).unwrap(), b"\xff\0raw");
    assert!(matches!(secrets.unseal(shop, sealed), Err(SecretsError::Damaged)), "it is no text");
    assert!(matches!(secrets.unseal_bytes(blog, sealed), Err(SecretsError::Damaged)));
    secrets.begin_renewal(shop).unwrap();
    let again = secrets.reseal(shop, sealed).unwrap();
    assert_eq!(*secrets.unseal_bytes(shop, again).unwrap(), b"\xff\0raw");
    secrets.forget(again).unwrap();
    secrets.forget(again).unwrap();
    assert!(matches!(secrets.unseal_bytes(shop, again), Err(SecretsError::Io(_))));
}
