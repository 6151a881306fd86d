//! What has changed in a repository since what is deployed, for rules by path.

use std::time::Duration;

use cutover_domain::context::Context;
use cutover_domain::recipe::{is_of, recipe};
use cutover_domain::rules::{Changed, Question};
use tokio::time::timeout;

use super::Execution;
use crate::adapters::source::git::{Commit, Credential, Remote};

/// How long a repository has to say what has changed: deliveries behind this one wait for as long, and what is not known by
/// then is deployed.
const PATIENCE: Duration = Duration::from_secs(20);

impl Execution {
    /// The paths that differ, asked of the repository itself. What cannot be found out is said as unknown.
    pub async fn changed(&self, question: &Question) -> Changed {
        let Some(Ok(Context::Git(repository))) = (!question.files.is_empty()).then(|| Context::parse(&question.files))
        else {
            return Changed::Unknown("its source is no repository that could be asked".to_owned());
        };
        if !is_of(&repository, &question.repo) {
            return Changed::Unknown(format!("its source is another repository than {}", question.repo));
        }
        let (Ok(from), Ok(to), Ok(address)) =
            (question.from.parse::<Commit>(), question.to.parse::<Commit>(), repository.url.parse())
        else {
            return Changed::Unknown("a commit is not named in full".to_owned());
        };
        let registry = self.commands.live().registry();
        let spec = registry.workloads.get(&question.workload).and_then(|known| known.revisions.last());
        let named = spec.and_then(|spec| recipe(&spec.source)).map(|recipe| recipe.credentials.to_owned());
        let credential = match self.opens(question.workload, named.as_deref().unwrap_or_default()) {
            Ok(None) => Ok(Credential::None),
            Ok(Some(opens)) => opens.credential(&repository),
            Err(failed) => Err(failed),
        };
        let credential = match credential {
            Ok(credential) => credential,
            Err(failed) => return Changed::Unknown(failed.text),
        };
        let remote = Remote { address, credential };
        match timeout(PATIENCE, self.source.changed(&remote, &from, &to)).await {
            Ok(Ok(names)) => Changed::Paths(names.iter().map(|name| name.text()).collect()),
            Ok(Err(why)) => Changed::Unknown(why.to_string()),
            Err(_) => Changed::Unknown(format!("{} has not said it within {} s", remote.address, PATIENCE.as_secs())),
        }
    }
}
