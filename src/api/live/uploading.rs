//! Archives that people send to be deployed.

use cutover_events::Digest;

use super::LiveBackend;
use crate::api::backend::{Pieces, Refusal};
use crate::api::views::UploadView;
use crate::execution::Refused;

impl LiveBackend {
    pub(super) fn upload_of(&self, upload: Digest, bytes: u64) -> Result<UploadView, Refusal> {
        let here = self.execution.has_upload(upload, bytes)?;
        Ok(UploadView { upload: upload.to_string(), bytes, here })
    }

    pub(super) async fn upload_taken(&self, upload: Digest, pieces: Pieces) -> Result<UploadView, Refusal> {
        let bytes = self.execution.take_upload(upload, pieces).await?;
        Ok(UploadView { upload: upload.to_string(), bytes, here: true })
    }

    /// The upload that a deployment names: one that is here.
    pub(super) fn named_upload(&self, text: &str) -> Result<Digest, Refusal> {
        let upload: Digest =
            text.parse().map_err(|_| Refusal::BadContent("an upload is named by 64 hexadecimal digits".to_owned()))?;
        if self.execution.has_upload(upload, 0)? {
            return Ok(upload);
        }
        Err(Refusal::UnknownName(format!(
            "there is no upload {upload}: send it first, as cutover deploy NAME --from does"
        )))
    }
}

impl From<Refused> for Refusal {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Content(text) => Self::BadContent(text),
            Refused::Broken(text) => Self::Unavailable(text),
        }
    }
}
