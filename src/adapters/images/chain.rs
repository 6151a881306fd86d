//! What Docker knows a layer by: not its own digest, but that of the whole chain from the lowest one up to it.

use std::collections::BTreeSet;

use cutover_events::Digest;

/// The chain of each layer, the lowest first.
/// <https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid>
#[must_use]
pub fn chains(layers: &[Digest]) -> Vec<Digest> {
    let mut all: Vec<Digest> = Vec::with_capacity(layers.len());
    for layer in layers {
        let below = all.last();
        let chain = below.map_or(*layer, |below| Digest::of(format!("sha256:{below} sha256:{layer}").as_bytes()));
        all.push(chain);
    }
    all
}

/// How many of the lowest layers are there already: who has a chain has everything below it.
#[must_use]
pub fn there(layers: &[Digest], known: &BTreeSet<Digest>) -> usize {
    chains(layers).iter().rposition(|chain| known.contains(chain)).map_or(0, |highest| highest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_what_docker_calls_it() {
        // An image of three layers, and the folders of /var/lib/docker/image/overlay2/layerdb/sha256 that it has.
        let layers = [1_u8, 2, 3].map(|n| Digest::of(&[n]));
        let second = Digest::of(format!("sha256:{} sha256:{}", layers[0], layers[1]).as_bytes());
        let third = Digest::of(format!("sha256:{second} sha256:{}", layers[2]).as_bytes());
        assert_eq!(chains(&layers), [layers[0], second, third]);
        assert!(chains(&[]).is_empty());
    }

    #[test]
    fn the_lowest_layers_are_there_when_their_chain_is() {
        let layers = [1_u8, 2, 3].map(|n| Digest::of(&[n]));
        let known = |upto: usize| chains(&layers[..upto]).into_iter().collect::<BTreeSet<_>>();
        assert_eq!([0, 1, 2, 3].map(|upto| there(&layers, &known(upto))), [0, 1, 2, 3]);
        // The same layer upon another one is another chain.
        let other = BTreeSet::from([layers[1], layers[2]]);
        assert_eq!(there(&layers, &other), 0);
    }
}
