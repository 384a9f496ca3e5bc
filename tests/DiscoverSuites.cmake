# Every suite of a GoogleTest program is one test of ctest's, run by one process: LibTorch takes half a second to start.
# GoogleTest's own gtest_discover_tests() makes one of each test.
#
# discover_suites(PROGRAM LABEL [ENVIRONMENT VARIABLE=VALUE...]): the program is asked for its suites when ctest runs. Tests
# that need a GPU have Cuda in their names; together they are one more test, LABEL.Cuda, of the label cuda. Threads that wait
# sleep: beside other tests, spinning ones take each other's cores, and a test of seconds takes minutes.
set(_discover_suites "${CMAKE_CURRENT_LIST_FILE}")

function(discover_suites program label)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" ENVIRONMENT)
  set(tests "${CMAKE_CURRENT_BINARY_DIR}/${program}.cmake")
  file(GENERATE OUTPUT "${tests}" CONTENT "set(program \"$<TARGET_FILE:${program}>\")
set(emulator \"${CMAKE_CROSSCOMPILING_EMULATOR}\")
set(name \"${program}\")
set(label \"${label}\")
set(environment \"${arg_ENVIRONMENT};OMP_WAIT_POLICY=PASSIVE;XDG_CACHE_HOME=${CMAKE_CURRENT_BINARY_DIR}/cache\")
include(\"${_discover_suites}\")
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${tests}")
endfunction()

if(NOT DEFINED program)
  return()
endif()

# From here on ctest reads this file, where add_test() takes a name and a command alone.
function(_add_suite suite filter label)
  add_test("${suite}" ${emulator} "${program}" "--gtest_filter=${filter}" --gtest_brief=1)
  # Skipped where none passed and none failed.
  set_tests_properties("${suite}" PROPERTIES LABELS "${label}" TIMEOUT 900 ENVIRONMENT "${environment}"
                       SKIP_REGULAR_EXPRESSION "PASSED  . 0 tests[.]\n([[]  SKIPPED [^\n]*\n)+$")
endfunction()

if(NOT EXISTS "${program}")
  add_test("${name}_NOT_BUILT" "${name}_NOT_BUILT")
  set_tests_properties("${name}_NOT_BUILT" PROPERTIES LABELS "${label}")
else()
  execute_process(COMMAND ${emulator} "${program}" --gtest_list_tests OUTPUT_VARIABLE listed RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${program} --gtest_list_tests failed: ${failed}")
  endif()
  string(REGEX REPLACE "#[^\n]*" "" listed "${listed}")  # what parameters hold
  string(REGEX MATCHALL "\n[^ \n]+[.] *\n" suites "\n${listed}")
  foreach(suite IN LISTS suites)
    string(REGEX REPLACE "[.] *\n$|\n" "" suite "${suite}")
    if(NOT suite MATCHES "Cuda")
      _add_suite("${suite}" "${suite}.*:-*Cuda*" "${label}")
    endif()
  endforeach()
  if(listed MATCHES "Cuda")
    _add_suite("${label}.Cuda" "*Cuda*" cuda)
  endif()
endif()
unset(program)
