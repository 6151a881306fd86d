//! What a drill does to one deployment at a named point, instead of chance.

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Drill {
    pub(crate) kind: Kind,
    /// Effects asked for since the drill began.
    pub(crate) effects: usize,
    /// Commits that were there when the drill began.
    pub(crate) base: usize,
    /// Whether it has struck.
    pub(crate) struck: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    None,
    /// The k-th effect is refused for good.
    Refuse(usize),
    /// The k-th effect is never sent, the engine dies.
    DieBefore(usize),
    /// The k-th effect is done, the engine dies without its answer.
    DieAfter(usize),
    /// The k-th effect arrives only when everything is over.
    Late(usize),
    /// Every effect is done twice.
    Twice,
    /// The engine dies before the k-th commit is written.
    CutBefore(usize),
    /// The engine dies once the k-th commit is written.
    CutAfter(usize),
    /// A person removes the n-th container before the k-th effect.
    Remove(usize, usize),
}

impl Drill {
    pub(crate) fn new(kind: Kind, base: usize) -> Self {
        Self { kind, effects: 0, base, struck: false }
    }

    pub(crate) fn dies_before(&mut self, commits: usize) -> bool {
        matches!(self.kind, Kind::CutBefore(k) if commits == self.base + k) && self.strike()
    }

    pub(crate) fn dies_after(&mut self, commits: usize) -> bool {
        matches!(self.kind, Kind::CutAfter(k) if commits == self.base + k + 1) && self.strike()
    }

    /// True once.
    pub(crate) fn strike(&mut self) -> bool {
        !std::mem::replace(&mut self.struck, true)
    }
}
