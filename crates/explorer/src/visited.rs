//! Which states were met, by their digests: a table of open addressing, in plain arrays.

/// States that one scenario may hold: at 20 bytes a place and half of the places used, some gigabytes.
pub(crate) const MOST_STATES: usize = 96 << 20;
/// Places at the beginning.
const FIRST: usize = 1 << 16;

/// The states that were met, numbered in the order of meeting.
pub(crate) struct Visited {
    sums: Vec<u128>,
    numbers: Vec<u32>,
    count: usize,
    /// Whether rest can be reached from the n-th state, as far as is known.
    alive: Vec<u64>,
}

/// What meeting a state came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Met {
    /// It is new, and has this number.
    New(u32),
    /// It has this number.
    Known(u32),
}

impl Visited {
    pub(crate) fn new() -> Self {
        Self { sums: vec![0; FIRST], numbers: vec![0; FIRST], count: 0, alive: Vec::new() }
    }

    /// How many states there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Notes a state.
    pub(crate) fn meet(&mut self, sum: u128) -> Met {
        // Nothing is where a zero is; one state in 2^128 is taken for another.
        let sum = sum.max(1);
        if self.count * 3 > self.sums.len() * 2 {
            self.grow();
        }
        let place = place(&self.sums, sum);
        if self.sums[place] == sum {
            return Met::Known(self.numbers[place]);
        }
        let number = self.count as u32;
        (self.sums[place], self.numbers[place]) = (sum, number);
        self.count += 1;
        if self.count > self.alive.len() * 64 {
            self.alive.push(0);
        }
        Met::New(number)
    }

    fn grow(&mut self) {
        let size = self.sums.len() * 2;
        let (mut sums, mut numbers) = (vec![0; size], vec![0; size]);
        for (sum, number) in self.sums.iter().zip(&self.numbers).filter(|(sum, _)| **sum != 0) {
            let place = place(&sums, *sum);
            (sums[place], numbers[place]) = (*sum, *number);
        }
        (self.sums, self.numbers) = (sums, numbers);
    }

    /// Whether rest is known to be reachable from a state.
    pub(crate) fn is_alive(&self, number: u32) -> bool {
        self.alive[number as usize / 64] & 1 << (number % 64) != 0
    }

    /// Whether rest can be reached from a state through one of those that it leads to; noted, if so.
    pub(crate) fn revives(&mut self, number: u32, leads: &[u32]) -> bool {
        let alive = leads.iter().any(|lead| self.is_alive(*lead));
        if alive {
            self.lives(number);
        }
        alive
    }

    /// Rest can be reached from a state.
    pub(crate) fn lives(&mut self, number: u32) {
        self.alive[number as usize / 64] |= 1 << (number % 64);
    }
}

fn place(sums: &[u128], sum: u128) -> usize {
    let mask = sums.len() - 1;
    let mut at = sum as usize & mask;
    while sums[at] != 0 && sums[at] != sum {
        at = (at + 1) & mask;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_new_once_and_keeps_its_number_while_the_table_grows() {
        let mut visited = Visited::new();
        let sum = |n: u32| u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        for n in 0..200_000 {
            assert_eq!(visited.meet(sum(n + 1)), Met::New(n));
        }
        for n in 0..200_000 {
            assert_eq!(visited.meet(sum(n + 1)), Met::Known(n));
        }
        assert_eq!(visited.count(), 200_000);
        visited.lives(77);
        assert!(visited.is_alive(77) && !visited.is_alive(78));
    }
}
