use crate::Result;
use crate::report::Verdict;
use crate::stand::Stand;
pub(super) async fn prove(_stand: &Stand) -> Result<Verdict> {
    Ok(Verdict::default())
}
