//! Hours of the day.

use conditions::Hours;
#[test]
fn hours_go_over_midnight() {
    let night = Hours::read("22:00-06:00").unwrap();
    assert_eq!(night.text(), "22:00-06:00");
    for (minute, is_in) in [(1_319, false), (1_320, true), (0, true), (359, true), (360, false)] {
        assert_eq!(night.has(minute), is_in, "{minute}");
    }
    let day = Hours::read("08:30-17:00").unwrap();
    assert!(day.has(510) && !day.has(509) && !day.has(1_020));
    let always = Hours::read("07:00-07:00").unwrap();
    assert!((0..1_440).all(|minute| always.has(minute)));
    for bad in ["", "8:00-17:00", "08:00", "08:00-24:00", "08:60-09:00", "08:00-09:00 ", "+8:00-09:00", "08:00–09:00"]
    {
        assert_eq!(Hours::read(bad), None, "{bad:?}");
    }
}
