#include "CSerinMath.h"

#include <math.h>

double serin_log(double x) { return log(x); }
double serin_exp(double x) { return exp(x); }
double serin_sqrt(double x) { return sqrt(x); }
double serin_sin(double x) { return sin(x); }
double serin_cos(double x) { return cos(x); }
