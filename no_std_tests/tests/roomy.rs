//! Every case on a bounded profile that has room for all.
#![cfg_attr(target_os = "none", no_std, no_main)]

no_std_tests::suite!(no_std_tests::profiles::Roomy);
