/* SPDX-License-Identifier: MIT
 *
 * test.h - what every cmocka test includes, in the order cmocka wants it.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
