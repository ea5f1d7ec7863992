//! Every case on the profile that has too little for some of them: these end with the capacity error that their list names.
#![cfg_attr(target_os = "none", no_std, no_main)]

no_std_tests::suite!(no_std_tests::profiles::Tight);
