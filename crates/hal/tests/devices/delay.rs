//! `delay` of a delay that blocks.

use canon_async_hal::delay::Delay;
use canon_async_hal::{Hal, HalLimits};
use canon_async_wasmi::Val;
use embedded_hal_mock::eh1::delay::{CheckedDelay, Transaction};

use crate::common::{MEMORY, SLEEPER, SLEEPER_WORLD, Setup};

#[test]
fn delay_that_blocks_waits_as_long_as_it_may_and_no_longer() {
    let mut mock = CheckedDelay::new(&[
        Transaction::blocking_delay_ns(5),
        Transaction::blocking_delay_us(1000),
        Transaction::blocking_delay_ms(1),
    ]);
    let hal = Hal::new(HalLimits::DEFAULT).delay(Delay::new(mock.clone()));
    let mut setup = Setup::new(&SLEEPER.replace("{MEMORY}", MEMORY), SLEEPER_WORLD, hal);
    let guest = setup.instance();
    for (unit, count, answer) in [
        ("ns", 5, Ok(None)),
        ("ns", 1_000_001, Err("too-long".to_string())),
        ("us", 1000, Ok(None)),
        ("us", u32::MAX, Err("too-long".to_string())),
        ("ms", 1, Ok(None)),
        ("ms", u32::MAX, Err("too-long".to_string())),
    ] {
        assert_eq!(setup.result(&guest, unit, &[Val::U32(count)]), answer, "{count} {unit}");
    }
    setup.assert_idle();
    mock.done();
}
