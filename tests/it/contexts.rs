//! Contexts from everywhere: the same files are the same context, wherever they come from.

use std::fs;
use std::path::Path;

use cutover::adapters::source::context::ContextLimits;
use cutover::adapters::source::git::{Credential, Git, GitConfig, GitError, Reach, Remote};
use cutover::adapters::source::{Content, MemorySources, Origin, Source, SourceError, Sources, SourcesConfig, Wanted};
use tokio_util::sync::CancellationToken;

use crate::git_support::{Repository, http};

const FILES: [(&str, &str); 3] = [("web/Dockerfile", "FROM scratch"), ("web/index", "hello"), ("other", "x")];

fn sources(root: &Path) -> Sources {
    let mut git = GitConfig::below(&root.join("data"), root.join("keys"));
    git.reach = Reach::Plain;
    let config = SourcesConfig { scratch: root.join("scratch"), limits: ContextLimits::default() };
    Sources::open(config, Git::open(git).unwrap()).unwrap()
}

fn written(folder: &Path) {
    for (name, content) in FILES {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), content).unwrap();
    }
}

async fn digest(source: &dyn Source, origin: &Origin) -> String {
    let content = source.gather(origin, Wanted::Context("Dockerfile"), &CancellationToken::new()).await;
    match content.unwrap_or_else(|error| panic!("{origin:?}: {error}")) {
        Content::Context(context) => context.digest().to_string(),
        other => panic!("{other:?} is no context"),
    }
}

/// The file `index` among the files as they are.
async fn index(source: &dyn Source, origin: &Origin) -> String {
    match source.gather(origin, Wanted::Files, &CancellationToken::new()).await.unwrap() {
        Content::Files(files) => fs::read_to_string(files.folder().join("index")).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_same_files_are_the_same_context() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("served")).unwrap();
    written(&at("folder"));
    let repository = Repository::new(&at("served"), "shop");
    let commit = repository.commit(&FILES);
    let mut archive = tar::Builder::new(fs::File::create(at("sent.tar")).unwrap());
    archive.append_dir_all(".", at("folder/web")).unwrap();
    archive.finish().unwrap();
    let served = http(&at("served"), None).await;
    let remote = |address: String| Remote { address: address.parse().unwrap(), credential: Credential::None };
    let remote = remote(format!("http://{}/shop.git", served.address));
    let commit = commit.parse().unwrap();
    let sources = sources(root.path());
    let git = Origin::Git { remote: remote.clone(), commit, folder: "web".to_owned() };
    let expected = digest(&sources, &Origin::Folder(at("folder/web"))).await;
    assert_eq!(digest(&sources, &Origin::Archive(at("sent.tar"))).await, expected);
    assert_eq!(digest(&sources, &git).await, expected);
    let Origin::Git { commit, .. } = &git else { unreachable!() };
    let twin = MemorySources::new(at("keys"));
    twin.commit(remote.address.as_str(), "main", commit, &FILES);
    assert_eq!(digest(&twin, &git).await, expected);
    assert_eq!(digest(&twin, &Origin::Folder(at("folder/web"))).await, expected);
    for source in [&sources as &dyn Source, &twin] {
        assert_eq!(&source.resolve(&remote, &"main".parse().unwrap()).await.unwrap(), commit);
        let nowhere = source.resolve(&remote, &"nowhere".parse().unwrap()).await;
        assert!(matches!(nowhere, Err(GitError::NoReference { .. })));
        for origin in [&git, &Origin::Folder(at("folder/web"))] {
            assert_eq!(index(source, origin).await, "hello");
        }
        let stopped = CancellationToken::new();
        stopped.cancel();
        assert!(matches!(
            source.gather(&git, Wanted::Context("Dockerfile"), &stopped).await,
            Err(SourceError::Cancelled)
        ));
        let none = source.gather(&git, Wanted::Context("Other"), &CancellationToken::new()).await.unwrap_err();
        assert!(none.to_string().starts_with("there is no Other in the context"), "{none}");
    }
    twin.cut_off(remote.address.as_str());
    drop(served);
    for source in [&sources as &dyn Source, &twin] {
        let away = source.resolve(&remote, &"main".parse().unwrap()).await;
        assert!(matches!(away, Err(GitError::Unreachable { .. })), "{away:?}");
    }
    for folder in ["scratch", "data/git/scratch", "keys"] {
        assert_eq!(fs::read_dir(at(folder)).unwrap().count(), 0, "{folder}");
    }
}
