// The three functions of libm that the verdicts need, without the rest of the C library.
#ifndef CSERIN_MATH_H
#define CSERIN_MATH_H
double serin_log(double x);
double serin_exp(double x);
double serin_sqrt(double x);
#endif
