//! What a declared workload is made of is looked at before anything is recorded: what is wrong with it then is nobody's
//! deployment.

use cutover_domain::context::Context;
use cutover_domain::file::Declared;
use cutover_domain::recipe::recipe;
use cutover_events::workload::Spec;
use cutover_events::{DeploymentId, WorkloadId};
use tokio_util::sync::CancellationToken;

use super::Execution;
use super::building::unfit;
use super::fitting::Unfit;
use super::perform::Failed;
use crate::adapters::builder::{self, Build, Stays};
use crate::adapters::source::context::has_dockerfile;
use crate::adapters::source::{Origin, Wanted};

impl Execution {
    /// What a workload is made of can be had: the commit is there, or the folder or archive holds what it is made by. Of a
    /// repository nothing is fetched. What `before` was made of already is not looked at again.
    ///
    /// # Errors
    /// It cannot.
    pub async fn can_be_made(
        &self,
        workload: WorkloadId,
        declared: &Declared,
        before: Option<&Spec>,
    ) -> Result<(), Unfit> {
        let Some(now) = recipe(&declared.spec.source) else { return Ok(()) };
        let was = before.and_then(|before| recipe(&before.source));
        if was.is_some_and(|was| (was.context, was.makes) == (now.context, now.makes)) {
            return Ok(());
        }
        let Some(place) = now.place(None).map_err(Unfit::Content)? else { return Ok(()) };
        if now.makes.is_judged_first() && !matches!(place, Context::Git(_)) {
            return Ok(());
        }
        let opens = self.opens_in(&declared.project, now.credentials).map_err(content)?;
        let found = self.find(place, opens.as_ref()).await.map_err(content)?;
        if matches!(found.origin, Origin::Git { .. }) || now.makes.is_by_a_program() {
            return Ok(());
        }
        if let (Origin::Folder(folder), Wanted::Context(file)) = (&found.origin, Wanted::by(&now.makes)) {
            // The whole of it is read by the build.
            return has_dockerfile(folder, file).map_err(|error| Unfit::Content(error.to_string()));
        }
        let files = self.source.gather(&found.origin, Wanted::by(&now.makes), &CancellationToken::new()).await;
        let files = files.map_err(|error| content(error.into()))?;
        let Some(content) = builder::content(&now.makes, Some((files, Stays::Here)), None) else { return Ok(()) };
        let settings = builder::settings(&now.makes);
        let build = Build { settings, ..self.empty((workload, DeploymentId([0; 16])), content) };
        self.builder.judge(&build).await.map_err(unfit)
    }
}

fn content(failed: Failed) -> Unfit {
    Unfit::Content(failed.text)
}
