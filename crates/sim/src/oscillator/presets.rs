//! Oscillators as they are sold, each with where its numbers come from.

use super::OscillatorOptions;

/// A kind of oscillator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The quartz crystal of a computer, neither compensated nor kept warm.
    ///
    /// - Offset: the median over 20 000 hosts was 78 ppm, some were beyond 500 (D. L. Mills, *Computer Network Time
    ///   Synchronization*, chapter 12). Here up to 100 ppm.
    /// - Allan deviation: least at about 1000 s, with about 1e-8, and below 1e-7 at all times (D. Veitch, J. Ridoux,
    ///   S. B. Korada, "Robust Synchronization of Absolute and Difference Clocks over Networks", IEEE/ACM Transactions on
    ///   Networking 17(2), 2009, §II). At a second such plots show the noise of the stamps; the crystal's own is put at 4e-9.
    /// - Temperature: the order of 1 ppm per kelvin at worst (ntp:questions, "Frequency Offset", February 2012), a tenth of
    ///   it near the turning point of an AT cut. With a swing of 2 K this gives the 0.2 ppm either way that an old desktop
    ///   computer showed over months (time-nuts, "pc clock crystal long term variations", August 2010).
    /// - Aging: 1e-8 a day, some ppm in a year, as data sheets of AT-cut crystals allow in the first year.
    Crystal,
    /// A temperature-compensated oscillator of stratum 3.
    ///
    /// - Allan deviation: 3e-11 at 10 s (SiTime SiT5357 data sheet), which white noise of 6e-11 at 1 s over a floor of 2e-11
    ///   gives.
    /// - Temperature: 1e-9 per kelvin, within 1e-7 altogether (the same data sheet). A swing of 3 K.
    /// - Aging: an eighth of the 4e-8 a day that Telcordia GR-1244-CORE allows a stratum 3 clock in a laboratory, temperature
    ///   included (as 4timing.com, "Stratum 3 and 3E Oscillator Requirements", quotes it).
    Tcxo,
    /// An oven-controlled oscillator in an air-conditioned room.
    ///
    /// - Allan deviation: 5e-12 at 1 s (Hewlett-Packard 105B). A floor of 3e-12 and the random walk are assumed: once drift is
    ///   taken away, random walk is what is left of ten-day free runs of Trimble Thunderbolts (T. Van Baak, time-nuts,
    ///   November 2016, with plots at leapsecond.com/pages/tbolt).
    /// - Aging: from 1e-11 to 2e-10 a day in those runs; 5e-10 a day is the specification of the HP 10811A. Here up to 1e-10.
    /// - Temperature: 2.5e-11 per kelvin, as was measured on the OCXO of a frequency counter (time-nuts, lists.febo.com message
    ///   04538, 2019). A swing of 2 K.
    Ocxo,
    /// A rubidium vapour cell.
    ///
    /// - Allan deviation: 2e-11 at 1 s, falling with the square root of the time, as the Stanford Research Systems PRS10 does
    ///   (time-nuts, June 2006, "Some results of PRS10 and Trimble Resolution T"). The floor of 5e-13 is assumed.
    /// - Aging: 5e-11 a month (specification of the Efratom FRS-C, time-nuts, November 2006), 1.7e-12 a day.
    /// - Temperature: 4e-10 either way over 80 K (specification of the chip-scale clock SA.45s, time-nuts, January 2018), 1e-11
    ///   per kelvin: the order of vapour cells, and cautious for larger ones. A swing of 3 K.
    Rubidium,
}

impl Preset {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Crystal, Self::Tcxo, Self::Ocxo, Self::Rubidium];

    /// Its name in scenarios.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crystal => "crystal",
            Self::Tcxo => "tcxo",
            Self::Ocxo => "ocxo",
            Self::Rubidium => "rubidium",
        }
    }

    /// Its numbers.
    #[must_use]
    pub const fn options(self) -> OscillatorOptions {
        match self {
            Self::Crystal => OscillatorOptions {
                frequency_offset: 0.0,
                tolerance: 100e-6,
                white: 2e-9,
                flicker: 4e-9,
                random_walk: 5e-10,
                aging_per_day: 1e-8,
                per_kelvin: 1e-7,
                swing_kelvin: 2.0,
            },
            Self::Tcxo => OscillatorOptions {
                frequency_offset: 0.0,
                tolerance: 0.5e-6,
                white: 6e-11,
                flicker: 2e-11,
                random_walk: 1e-12,
                aging_per_day: 5e-9,
                per_kelvin: 1e-9,
                swing_kelvin: 3.0,
            },
            Self::Ocxo => OscillatorOptions {
                frequency_offset: 0.0,
                tolerance: 0.1e-6,
                white: 4e-12,
                flicker: 3e-12,
                random_walk: 1e-13,
                aging_per_day: 1e-10,
                per_kelvin: 2.5e-11,
                swing_kelvin: 2.0,
            },
            Self::Rubidium => OscillatorOptions {
                frequency_offset: 0.0,
                tolerance: 5e-10,
                white: 2e-11,
                flicker: 5e-13,
                random_walk: 1e-15,
                aging_per_day: 1.7e-12,
                per_kelvin: 1e-11,
                swing_kelvin: 3.0,
            },
        }
    }

    /// The Allan deviation at 1 s and at 1000 s that these numbers give, aging and temperature left out.
    #[must_use]
    pub fn allan_deviation(self) -> (f64, f64) {
        let OscillatorOptions { white, flicker, random_walk, .. } = self.options();
        let at = |tau: f64| {
            let (white, random_walk) = (white / tau.sqrt(), random_walk * (tau / 3.0).sqrt());
            (white * white + flicker * flicker + random_walk * random_walk).sqrt()
        };
        (at(1.0), at(1000.0))
    }
}
