//! Medians and percentiles.

use std::time::Duration;

/// The middle value; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// Smallest and largest value; zeros of nothing.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().reduce(f64::min).unwrap_or(0.0);
    let high = values.iter().copied().reduce(f64::max).unwrap_or(0.0);
    (low, high)
}

/// Latencies in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    samples_us: Vec<u32>,
}

impl Latencies {
    /// Adds one sample; above an hour it is cut.
    pub(crate) fn add(&mut self, time: Duration) {
        self.samples_us.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds all samples of another set.
    pub(crate) fn append(&mut self, other: &Self) {
        self.samples_us.extend_from_slice(&other.samples_us);
    }

    /// Milliseconds at each of the given percentiles (0–100), nearest rank.
    pub(crate) fn percentiles_ms<const N: usize>(&self, wanted: [f64; N]) -> [f64; N] {
        let mut sorted = self.samples_us.clone();
        sorted.sort_unstable();
        wanted.map(|percent| {
            let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).map_or(0.0, |us| f64::from(*us) / 1000.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(range(&[2.0, 1.0, 3.0]), (1.0, 3.0));
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let mut latencies = Latencies::default();
        for ms in (1..=100).rev() {
            latencies.add(Duration::from_millis(ms));
        }
        assert_eq!(latencies.percentiles_ms([50.0, 99.0, 100.0]), [50.0, 99.0, 100.0]);
        assert_eq!(Latencies::default().percentiles_ms([50.0]), [0.0]);
    }
}
