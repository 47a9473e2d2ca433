// The functions of libm that the core needs, without the rest of the C library.
#ifndef CSERIN_MATH_H
#define CSERIN_MATH_H
double serin_log(double x);
double serin_exp(double x);
double serin_sqrt(double x);
double serin_sin(double x);
double serin_cos(double x);
#endif
