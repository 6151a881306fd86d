//! `cutover secret import --docker`, by the real program: Docker's file, and helpers that the test writes.

use crate::stand::{Stand, ended, lossy};

#[tokio::test]
async fn the_logins_of_a_persons_docker_become_secrets_of_a_project() {
    let stand = Stand::begin().await;
    let folder = stand.folder().join("docker");
    std::fs::create_dir(&folder).unwrap();
    // A helper as Docker calls it: the address on its input.
    let helper = r#"#!/bin/sh
case "$1" in
list) echo '{"store.example.com": "anna", "https://index.docker.io/v1/access-token": "anna"}' ;;
get) read address
     case "$address" in
     store.example.com) echo '{"ServerURL": "store.example.com", "Username": "anna", "Secret": "open-Sesame-1"}' ;;
     token.example.com:5000) echo '{"Username": "<token>", "Secret": "open-Sesame-2"}' ;;
     *) echo 'credentials not found in native keychain'; exit 1 ;;
     esac ;;
esac
"#;
    for name in ["docker-credential-mine", "docker-credential-other"] {
        std::fs::write(folder.join(name), helper).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.join(name), mode).unwrap();
    }
    let config = r#"{
        "auths": {"https://index.docker.io/v1/": {"auth": "YW5uYTpvcGVuLVNlc2FtZS0z"}, "gone.example.com": {}},
        "credsStore": "mine", "credHelpers": {"token.example.com:5000": "other"}}"#;
    std::fs::write(folder.join("config.json"), config).unwrap();
    let import = async |more: &[&str]| {
        let mut command = stand.command(&[&["secret", "import", "--docker"], more].concat());
        command.env("DOCKER_CONFIG", &folder).env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
        ended(command).await
    };
    let output = import(&[&stand.project]).await;
    let (told, aside) = (lossy(&output.stdout), lossy(&output.stderr));
    assert!(output.status.success(), "{told}{aside}");
    for (name, registry) in [
        ("registry-docker.io", "docker.io"),
        ("registry-store.example.com", "store.example.com"),
        ("registry-token.example.com_5000", "token.example.com:5000"),
    ] {
        assert!(told.contains(&format!("{}/{name} has version 1", stand.project)), "{told}");
        assert!(told.contains(&format!("ref = \"{registry}/…\", credentials = \"{name}\"")), "{told}");
    }
    assert!(aside.contains("gone.example.com: named, but no login is kept"), "{aside}");
    assert!(aside.contains("store.example.com: by docker-credential-mine"), "{aside}");
    assert!(!told.contains("Sesame") && !aside.contains("Sesame"), "{told}{aside}");
    let listed = stand.must(&["secret", "list", &stand.project, "--json"]).await;
    assert_eq!(listed.matches("\"name\":\"registry-").count(), 3, "{listed}");
    let again = import(&["--project", &stand.project, "--only", "store.example.com"]).await;
    assert!(lossy(&again.stdout).contains("has this value already") && !lossy(&again.stdout).contains("docker.io"));
    let none = import(&[&stand.project, "--only", "nobody.example.com"]).await;
    assert_eq!(none.status.code(), Some(15), "{}", lossy(&none.stderr));
    assert!(lossy(&none.stderr).contains("no login for nobody.example.com"));
    let usage = import(&["./.env"]).await;
    assert_eq!(usage.status.code(), Some(2), "{}", lossy(&usage.stderr));
    stand.end(&[]).await;
}
